"""The tools that are compared with: where they are, and their versions.

What belongs here: finding a tool. What does not: running it on a subject's frames.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

_ASK: dict[str, tuple[str, ...]] = {
    "siril-cli": ("--version",),
    "SWarp": ("--version",),
    "stiff": ("--version",),
    "source-extractor": ("--version",),
    "solve-field": ("--version",),
}
_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool on this machine. name : with its version, as the table shows it"""

    name: str
    program: str


@cache
def peer(program: str) -> Peer | None:
    """The tool of that command, or None when it is not installed."""
    path = shutil.which(program)
    if path is None:
        return None
    answer = subprocess.run(
        [path, *_ASK[program]], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    version = re.search(r"\d+\.\d+(\.\d+)?", answer.stdout + answer.stderr)
    return Peer(f"{program} {version.group() if version else ''}".strip(), path)
