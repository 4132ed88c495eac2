"""``make capture-faults``: every fault of a capture, what is expected, what was seen.

Writes the table to the file that is named; status 0 only when all of it holds. Takes about eight
minutes. At a hundred times its pace a night notices what else a machine does: run by root, it goes
before everything else.
"""

import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from astro_assets_tests.capture.conftest import MODEL, Pi, write_config
from astro_assets_tests.capture.night_of_faults import EVERY_S, SPEED, Night, play

HOURS = 10.0
TESTS = (
    ("53 confirmation lost, repeated, of other bytes", "–", "the frame stays",
     "test_retention.py"),
    ("54 seven nights without a collector", "rehearsal", "nothing unconfirmed goes; it says so",
     "test_nights.py::test_seven_nights_without_a_collector"),
    ("55 failed, hung, crashed exposures", "ZWO", "killed in time, the next one works",
     "test_cameras.py::test_after_a_fault_the_next_exposure_works"),
    ("56 the driver gives up", "gphoto2", "opened anew, the next one works",
     "test_cameras.py::test_gphoto_goes_on_when_the_driver_gives_up"),
    ("56 the camera is busy (0x2019), then no more", "gphoto2, our PTP camera",
     "asked again; the next one works",
     "test_nikon.py::test_a_camera_that_is_busy_is_asked_again"),
    ("57 SIGKILL, SIGSEGV", "rehearsal", "back within 10 s, nothing partial",
     "test_nights.py::test_killed_it_is_back_within_ten_seconds"),
    ("57 the watcher is killed, without systemd", "rehearsal", "back within 10 s",
     "test_survival.py::test_without_systemd_a_killed_watcher_is_back_within_ten_seconds"),
    ("57 all of it is killed, as by a power cut", "rehearsal", "the armed night goes on",
     "test_survival.py::test_after_a_power_cut_the_night_goes_on"),
    ("57 killed at 120 points", "rehearsal", "no partial, no gap, no duplicate",
     "test_frames.py::test_killed_at_any_point_there_is_no_part_no_gap_and_no_duplicate"),
    ("59 the clock is not set", "rehearsal", "waited for, and told",
     "test_survival.py::test_a_clock_that_is_not_set_is_waited_for_and_told"),
    ("59 the clock jumps back", "rehearsal", "no name used twice",
     "test_frames.py::test_a_name_is_never_used_twice_whatever_the_clock_does"),
    ("60 the card becomes read-only", "rehearsal", "said, a clean stop",
     "test_nights.py::test_a_card_that_becomes_read_only_ends_the_night_cleanly"),
)  # fmt: skip


def main() -> None:
    """Play the night, run the tests, write the table."""
    page = Path(sys.argv[1])
    night = _night()
    rows = [
        (f"55–58 {name}, {count} times", "ZWO", "at most one frame lost by each, the log says so",
         f"{lost} lost, at most {most} by one", "holds" if most <= 1 else "FAILS")
        for name, (count, lost, most) in night.by_name().items()
    ]  # fmt: skip
    holds = night.phase == "done" and night.lost <= len(night.faults) and not night.unsaid
    seen = (
        f"{night.phase}, {night.lost} lost, {night.frames} whole by hash, "
        f"{len(night.unsaid)} losses not in the log"
    )
    rows.append(
        (
            f"a night of {HOURS:g} h with a fault every {EVERY_S / 60:g} min", "ZWO",
            f"ends at dawn, at most {len(night.faults)} of {night.slots} frames lost, none corrupt",
            seen, "holds" if holds else "FAILS",
        )
    )  # fmt: skip
    for fault, camera, expected, test in TESTS:
        seen, outcome = _ran(test)
        rows.append((fault, camera, expected, seen, outcome))
    lines = ["| Fault | Camera | Expected | Seen | |", "|--|--|--|--|--|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    judged = [row for row in rows if row[-1]]
    good = sum(row[-1] == "holds" for row in judged)
    totals = f"Totals: {good} of {len(judged)} hold; {len(night.faults)} faults in the night."
    text = (
        "# Faults of a capture\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, `make capture-faults`, Python "
        f"{sys.version.split()[0]}, the night at {SPEED:g} times its pace. ZWO: zwoasi on a small "
        "library of the vendor's calls; gphoto2: its own virtual PTP camera, where not said "
        "otherwise; rehearsal: the program's camera without hardware.\n\n"
        + "\n".join(lines)
        + f"\n\n{totals}\n"
    )
    page.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    sys.exit(0 if good == len(judged) else 1)


def _night() -> Night:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        library = home / "libASICamera2.so"
        compiler = shutil.which("cc") or "gcc"
        source = Path(__file__).with_name("fake_asi.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        file = write_config(
            home, Brand="ZWO", Model=MODEL, Library=library, Exposure=20, Image_Frequency=2
        )
        environment = {
            "ASI_FAULTS": str(home / "faults"),
            "ASI_ABSENT": str(home / "absent"),
            "ASI_SPEED": str(SPEED),
        }
        return play(Pi(home, file, environment), HOURS)


def _ran(test: str) -> tuple[str, str]:
    words = ["-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *words, f"{Path(__file__).parent}/{test}"],
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1].strip("= ")
    whole = done.returncode == 0 and "skipped" not in last
    return last, "holds" if whole else "FAILS"


if __name__ == "__main__":
    main()
