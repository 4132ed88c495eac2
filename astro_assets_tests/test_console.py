"""What `sync` shows while it downloads: in a terminal, and in a file."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from astro_assets.console import Display
from astro_assets.sources.progress import Progress

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def progress(done: int, files: int = 10) -> Progress:
    return Progress(
        files_done=done,
        files=files,
        bytes_done=done * 8_000_000,
        bytes_total=files * 8_000_000,
        current="T20/[M 31]/light-3.fit",
        bytes_per_s=4_000_000.0,
        left_s=(files - done) * 2.0,
    )


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def shown(*, terminal: bool, steps: list[tuple[float, Progress]]) -> str:
    """All that is written while these reports come, at these seconds."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=140)
    clock = Clock()
    with Display(console, clock) as display:
        display.run("rented_session: 2026-11-20_M31_T20", 2, 7)
        for clock.now_s, report in steps:
            display.download(report)
            if terminal:
                display._live.refresh()
    return written.getvalue()


def test_a_terminal_shows_runs_and_bytes_with_rate_and_time_left() -> None:
    text = _ESCAPES.sub("", shown(terminal=True, steps=[(0.1, progress(3))]))
    assert "2/7" in text
    assert "rented_session: 2026-11-20_M31_T20" in text
    assert "3 of 10 files, 24.0 of 80.0 MB, 4.0 MB/s, 0:14 left: T20/[M 31]/light-3.fit" in text


def test_a_download_that_is_done_leaves_the_terminal() -> None:
    text = shown(terminal=True, steps=[(0.1, progress(3)), (0.2, progress(10))])
    last = _ESCAPES.sub("", text).splitlines()
    assert not any("10 of 10 files" in line for line in last)


def test_a_file_gets_a_plain_line_now_and_then() -> None:
    steps = [(second / 4, progress(min(9, second // 60))) for second in range(400)]
    lines = shown(terminal=False, steps=steps).splitlines()
    assert len(lines) == 3
    assert lines[0] == (
        "2 of 7 runs, rented_session: 2026-11-20_M31_T20: 2 of 10 files, 16.0 of 80.0 MB, "
        "4.0 MB/s, 0:16 left: T20/[M 31]/light-3.fit"
    )
    assert "\x1b" not in "".join(lines)


def test_a_quick_download_tells_a_file_nothing() -> None:
    assert shown(terminal=False, steps=[(1, progress(3)), (2, progress(10))]) == ""


# While a step runs, Dagster sends the process's output into files of its own.

TAKEN = """
import os, sys, time
from astro_assets import console
from astro_assets_tests.test_console import progress
console._SAY_EVERY_S = 0
with console.Display(console.terminal()) as display:
    display.run("rented_session", 2, 7)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    display.download(progress(3))
    time.sleep(0.5)
"""


def test_a_terminal_is_written_to_while_the_output_is_taken() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", TAKEN], stdout=theirs) as process:
        os.close(theirs)
        text = b""
        try:
            while more := os.read(ours, 4096):
                text += more
        except OSError:
            pass  # Linux says so at the end
        finally:
            os.close(ours)
    assert process.returncode == 0
    assert b"3 of 10 files" in text


def test_a_file_is_written_to_while_the_output_is_taken(tmp_path: Path) -> None:
    log = tmp_path / "sync.log"
    with log.open("wb") as file:
        subprocess.run([sys.executable, "-c", TAKEN], stdout=file, check=True)
    assert "3 of 10 files" in log.read_text()
