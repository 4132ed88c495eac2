"""A folder with settings, from which `astro-assets sync` is run as its users run it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from astro_assets.store import Store

COMMAND = Path(sys.executable).with_name("astro-assets")
_NOT_OURS = ("ASTRO_ASSETS_SETTINGS", "DAGSTER_HOME")
_SITE = """
[site]
name = "Roof"
latitude_deg = 53.217
longitude_deg = 6.567
timezone = "Europe/Amsterdam"
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    def line(self, *words: str) -> str:
        """The one line that holds all of the words."""
        found = [li for li in self.said.splitlines() if all(word in li for word in words)]
        assert found, f"no line with {words} in:\n{self.said}"
        return found[0]


@dataclass(frozen=True)
class Bench:
    """Settings in ``folder``, products in ``folder/data``."""

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "observatory.toml"

    @property
    def store(self) -> Store:
        return Store(self.folder / "data")

    def write(self, *sources: str, root: str = "data", head: str = _SITE) -> None:
        """Write the settings: each source is the lines of its table."""
        tables = [f"[[sources]]\n{source}\n" for source in sources]
        self.settings.write_text("\n".join([f'root = "{root}"', head, *tables]), encoding="utf-8")

    def sync(self, *names: str, variables: Mapping[str, str] | None = None) -> Ended:
        """Run `astro-assets sync`; no traceback and no library's chatter may show."""
        environment = {k: v for k, v in os.environ.items() if k not in _NOT_OURS}
        environment |= {"ASTRO_ASSETS_SETTINGS": str(self.settings), "COLUMNS": "180"}
        done = subprocess.run(
            [COMMAND, "sync", *names],
            env=environment | dict(variables or {}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        ended = Ended(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in ended.said, ended.said
        assert "WARNING" not in ended.said, ended.said
        assert "Warning:" not in ended.said, ended.said
        assert "should not have happened" not in ended.said, ended.said
        return ended

    def frames(self, source: str, session: str) -> pd.DataFrame:
        """The session's table, by frame."""
        table = pd.read_parquet(self.store.solved(source, session) / "frames.parquet")
        return table.set_index("frame")


def folder_source(name: str, path: Path | str) -> str:
    return f'name = "{name}"\nkind = "folder"\npath = "{path}"'
