"""The night's process: ``python -m … PIPE CONFIG PLAN SPEED``, started and watched by `supervise`.

What belongs here: putting the parts of a night together. What does not: the night (`loop`).
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import FrameType

from astro_assets.capture.clock import Clock
from astro_assets.capture.config import Config, read_config
from astro_assets.capture.dies_with_parent import die_with_parent
from astro_assets.capture.frames import NightFolder
from astro_assets.capture.loop import Night
from astro_assets.capture.motor import Motor, open_motor
from astro_assets.capture.plan import Plan, read_plan
from astro_assets.capture.status import Phase, iso
from astro_assets.capture.supervise import DONE, STOPPED
from astro_assets.errors import AstroAssetsError, NothingToDo

log = logging.getLogger("astro-capture")


def main() -> None:
    """Run the night and end with a status that the watcher understands."""
    die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    pipe, config_file, plan_file, speed, started = sys.argv[1:6]
    stopping = threading.Event()

    def told_to_stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        stopping.set()

    signal.signal(signal.SIGTERM, told_to_stop)
    signal.signal(signal.SIGINT, told_to_stop)
    try:
        sys.exit(
            _run(int(pipe), Path(config_file), Path(plan_file), float(speed), started, stopping)
        )
    except NothingToDo as error:
        log.warning("%s", error)
        sys.exit(STOPPED)
    except AstroAssetsError as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
        sys.exit(1)


def _run(
    pipe: int, config_file: Path, plan_file: Path, speed: float, started: str, stop: threading.Event
) -> int:
    config, plan = read_config(config_file), read_plan(plan_file)
    clock = _clock(speed, started, plan)

    def beat() -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(pipe, b".")

    os.set_blocking(pipe, False)

    def waited(real_s: float) -> bool:
        beat()
        return stop.wait(real_s)

    night = Night(
        config=config,
        plan=plan,
        clock=clock,
        folder=NightFolder(config.save, plan.night.isoformat()),
        stop=waited,
        beat=beat,
        say=log.info,
        motor=_motor(config),
    )
    log.info(
        "the night of %s is from %s to %s; it is %s",
        plan.night, iso(plan.dusk_utc), iso(plan.dawn_utc), iso(clock.now_utc()),
    )  # fmt: skip
    phase = night.run()
    log.info("the night is %s: %d frames, %d lost", phase, night.status.frames, night.status.lost)
    return DONE if phase is Phase.DONE else STOPPED


def _clock(speed: float, started: str, plan: Plan) -> Clock:
    """The system's clock; a rehearsal began ``started`` just before the plan's first hours."""
    if speed == 1:
        return Clock()
    gone_s = (time.time() - float(started)) * speed
    first_utc = min(item.begin_utc or plan.dusk_utc for item in plan.items)
    return Clock(speed, first_utc - timedelta(seconds=5) + timedelta(seconds=gone_s))


def _motor(config: Config) -> Motor | None:
    """The motor; a night without it is better than none."""
    if config.motor is None:
        return None
    try:
        return open_motor(config.motor, config.save)
    except (AstroAssetsError, OSError, ImportError, ValueError) as error:
        log.warning("the motor is left alone tonight (%s)", error)
        return None


if __name__ == "__main__":
    main()
