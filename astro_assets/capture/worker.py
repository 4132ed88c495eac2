"""The process that holds the camera, and that may be killed: orders in, answers out, a line each.

What belongs here: reading an order, doing it, answering. What does not: when to do what (`loop`),
what to do when it hangs or dies (`hands`).

Orders and answers are JSON objects. The answers have the standard output for themselves: whatever
a camera's library prints goes to the standard error.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import IO, Any

from astro_assets.capture.cameras.choose import camera_of
from astro_assets.capture.cameras.protocol import Camera, CameraFailed, Shot
from astro_assets.capture.config import read_config
from astro_assets.capture.dies_with_parent import die_with_parent


def main() -> None:
    """``python -m astro_assets.capture.worker CONFIG SPEED``."""
    die_with_parent()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    config = read_config(Path(sys.argv[1]))
    speed = float(sys.argv[2])
    camera = camera_of(config.camera, lambda seconds: seconds / speed)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = _done(camera, order)
        except CameraFailed as error:
            answer = {"failed": str(error)}
        except OSError as error:
            answer = {"storage": [error.errno or 0, error.strerror or str(error)]}
        _answer(answers, answer)
        if order["do"] == "close":
            return


def _done(camera: Camera, order: dict[str, Any]) -> dict[str, Any]:
    if order["do"] == "open":
        return {"name": camera.open()}
    if order["do"] == "close":
        camera.close()
        return {}
    if order["do"] == "settle":
        settle = getattr(camera, "settle", None)
        if settle is None:
            return {"settled": None}
        return {"settled": settle(order["gain"], order["max_exposure_s"])}
    shot = Shot(order["exposure_s"], order["gain"], order["image_type"], order["facts"])
    taken = camera.expose(shot, Path(order["part"]))
    return {
        "files": [str(file) for file in taken.files],
        "facts": dict(taken.facts),
        "level": taken.level,
    }


def _answer(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
