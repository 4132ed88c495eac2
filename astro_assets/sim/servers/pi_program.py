"""The real capture program on the simulated Pi: `astro-capture` itself, frames for its camera.

What belongs here: its configuration, its pace, its commands. What does not: SSH (`pi`), the
program itself (`capture`).
"""

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

_CADENCE_S = 60.0
_EXPOSURE_S = 10.0
_LIMIT_S = 60.0


class CaptureProgram:
    """`astro-capture` in the Pi's home; its camera hands out `.prepared/<night>/`, one by one.

    home : the Pi's home, with `captures` and `.prepared` in it
    seconds_per_frame : from one frame to the next; the night runs faster by as much
    """

    def __init__(self, home: Path, *, seconds_per_frame: float) -> None:
        self._home = home
        self._speed = _CADENCE_S / seconds_per_frame
        self._config = home / "config.ini"
        self._prepared = next(iter(sorted((home / ".prepared").glob("*"))), home / ".prepared/none")

    def run(self, words: list[str]) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of the program with these words."""
        match words:
            case ["arm", "--plan", plan] if self._night_of(plan) != self._prepared.name:
                # Nothing was simulated for other nights, which Dagster asks for as well.
                answer = {"night": self._night_of(plan), "state": "without a sky"}
                return 0, json.dumps(answer) + "\n", ""
            case ["arm", *_]:
                self._write_config()
                words = [*words, "--speed", repr(self._speed)]
        done = subprocess.run(
            self._command(words),
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )
        return done.returncode, done.stdout, done.stderr

    def stop(self) -> None:
        """End the capture, if one is under way."""
        if self._config.exists():
            self.run(["stop"])

    def plan(self) -> dict[str, str | float]:
        """One entry of a Pi's ``plan`` with hours for as many frames as there are.

        The frames begin at half past one.
        """
        frames = len(list(self._prepared.glob("*.fits")))
        begin = timedelta(hours=1, minutes=30)
        end = begin + timedelta(seconds=frames * _CADENCE_S)
        return {
            "target": "M 42",
            "begin": _clock(begin),
            "end": _clock(end),
            "exposure_s": _EXPOSURE_S,
            "cadence_s": _CADENCE_S,
        }

    def _command(self, words: list[str]) -> list[str]:
        program = [sys.executable, "-m", "astro_assets.capture", "--config", str(self._config)]
        return [*program, *words]

    def _night_of(self, plan: str) -> str:
        content = json.loads((self._home / plan).read_bytes())
        return date.fromisoformat(content["night"]).isoformat()

    def _write_config(self) -> None:
        keys = {
            "Brand": "Simulated",
            "Model": "camera",
            "Frames": str(self._prepared),
            "Exposure": _EXPOSURE_S,
            "ISO": 120,
            "Image_Frequency": _CADENCE_S / 60,
            "Image_Format": "RAW",
        }
        lines = ["[Camera]", *(f"{key} = {value}" for key, value in keys.items())]
        lines += ["[Paths]", "FILE_SAVE = captures", "[Retention]", "Disk_Floor_GB = 0.1"]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _clock(since_midnight: timedelta) -> str:
    seconds = int(since_midnight.total_seconds())
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
