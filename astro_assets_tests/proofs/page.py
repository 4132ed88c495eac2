"""A page of results: what was run, when, and its tables. Nothing else belongs here."""

import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(content: object) -> str:
    return str(content).replace("|", "\\|").replace("\n", " ")


def write_page(path: Path, title: str, target: str, parts: Sequence[str]) -> None:
    """Write ``parts`` below the title, the date, the command and the machine.

    target : of `make`, which is what was called unless there were arguments
    """
    today = datetime.now(UTC).date().isoformat()
    more = shlex.join(sys.argv[2:])
    command = f"python -m {__package__}.{Path(sys.argv[0]).stem} PAGE {more}"
    told = f"`make {target}`" if not more else f"`{command}`"
    made = f"Made on {today} by {told} (Python {platform.python_version()}, {_machine()})."
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([f"# {title}\n", f"{made}\n", *parts]), encoding="utf-8")


def _machine() -> str:
    cpus = len([line for line in _cpuinfo() if line.startswith("processor")])
    model = next((line.split(":")[1].strip() for line in _cpuinfo() if "model name" in line), "?")
    return f"{cpus} cores {model}"


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
