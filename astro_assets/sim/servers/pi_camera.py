"""The simulated Pi's camera: once armed, it "takes" the night's prepared frames one by one.

What belongs here: the night's folder with its manifest and status, as the Pi keeps them. What does
not: SSH (`pi`), what is in a frame (`sim.night`).
"""

import hashlib
import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Literal

from astropy.io import fits

_FACTS = (
    "IMAGETYP",
    "OBJECT",
    "DATE-OBS",
    "EXPTIME",
    "INSTRUME",
    "TELESCOP",
    "FILTER",
    "BAYERPAT",
    "GAIN",
    "EGAIN",
    "OFFSET",
    "CCD-TEMP",
    "SET-TEMP",
    "XBINNING",
    "YBINNING",
)


class PiCamera:
    """Moves `.prepared/<night>/` frame by frame into `captures/<night>/`.

    root : the Pi's home, with `captures` and `.prepared` in it
    seconds_per_frame : from one frame to the next
    """

    def __init__(self, root: Path, *, seconds_per_frame: float) -> None:
        self._root = root
        self._seconds_per_frame = seconds_per_frame
        self._stop = Event()
        self._lock = Lock()
        self._nights: dict[date, Thread] = {}

    def arm(self, night: date) -> Literal["armed", "already armed", "without a sky"]:
        """Begin the night's frames; a night that is under way or over stays as it is.

        A night that nobody has simulated has nothing to take.
        """
        with self._lock:
            if night in self._nights or self._is_over(night):
                return "already armed"
            frames = self._prepared(night)
            if not frames:
                return "without a sky"
            self._write_status(night, "armed")
            thread = Thread(
                target=self._take, args=(night, frames), name=f"simulated camera {night}"
            )
            thread.daemon = True
            self._nights[night] = thread
            thread.start()
            return "armed"

    def status(self) -> str | None:
        """The newest night's status file; None when nothing was ever armed."""
        files = sorted((self._root / "captures").glob("*/status.json"))
        return files[-1].read_text(encoding="utf-8") if files else None

    def stop(self) -> None:
        """Leave the night after the frame in hand; the frames not taken stay prepared."""
        self._stop.set()
        for thread in self._nights.values():
            thread.join()

    def _take(self, night: date, frames: list[Path]) -> None:
        for frame in frames:
            self._write_status(night, "exposing")
            if self._stop.wait(self._seconds_per_frame):
                return
            self._publish(frame, self._folder(night))
        self._write_status(night, "done")

    def _publish(self, frame: Path, folder: Path) -> None:
        target = folder / frame.name
        part = target.with_name(f"{target.name}.part")
        shutil.copyfile(frame, part)
        line = _manifest_line(part, frame.name)
        part.rename(target)
        with (folder / "manifest.jsonl").open("a", encoding="utf-8") as manifest:
            manifest.write(line)
        frame.unlink()

    def _write_status(self, night: date, phase: Literal["armed", "exposing", "done"]) -> None:
        folder = self._folder(night)
        folder.mkdir(parents=True, exist_ok=True)
        status = {
            "night": night.isoformat(),
            "phase": phase,
            "frames": _lines(folder / "manifest.jsonl"),
            "updated": _now(),
        }
        part = folder / "status.json.part"
        part.write_text(json.dumps(status), encoding="utf-8")
        part.replace(folder / "status.json")

    def _is_over(self, night: date) -> bool:
        return (self._folder(night) / "status.json").exists() and not self._prepared(night)

    def _prepared(self, night: date) -> list[Path]:
        return sorted((self._root / ".prepared" / night.isoformat()).glob("*.fits"))

    def _folder(self, night: date) -> Path:
        return self._root / "captures" / night.isoformat()


def _manifest_line(file: Path, name: str) -> str:
    content = file.read_bytes()
    header = fits.getheader(file)
    record = {
        "file": name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "time": _now(),
        "facts": {key: str(header[key]) for key in _FACTS if key in header},
    }
    return json.dumps(record) + "\n"


def _lines(file: Path) -> int:
    return len(file.read_bytes().splitlines()) if file.exists() else 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
