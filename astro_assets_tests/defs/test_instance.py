"""The instance that the command line opens: how it keeps its records."""

from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from astro_assets.defs.instance import open_instance
from astro_assets_tests.defs.known import make_folder

_NORMAL, _FULL = 1, 2


def _modes(file: Path) -> tuple[str, int]:
    """Journal and sync mode of a new database, opened as Dagster opens its own."""
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    with engine.connect() as connection:
        journal = connection.execute(text("PRAGMA journal_mode")).scalar_one()
        return str(journal), int(connection.execute(text("PRAGMA synchronous")).scalar_one())


def test_records_wait_for_the_disk_at_checkpoints_alone_and_only_while_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NORMAL is safe in WAL alone: never one without the other."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    with open_instance(make_folder(tmp_path, sessions=1, frames=1)):
        assert _modes(tmp_path / "within.db") == ("wal", _NORMAL)
        assert _modes(tmp_path / "dagster/history/runs.db") == ("wal", _NORMAL)
    assert _modes(tmp_path / "outside.db") == ("delete", _FULL)
