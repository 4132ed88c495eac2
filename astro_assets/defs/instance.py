"""The Dagster instance that the command line uses: `DAGSTER_HOME`, or one below the products."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astropy import log as astropy_log
from dagster import DagsterError, DagsterInstance
from dagster._check import CheckError
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from yaml import YAMLError  # what Dagster reads its own with

from astro_assets.data import packaged
from astro_assets.errors import SettingsError, StorageFailed
from astro_assets.settings import Settings
from astro_assets.store import write_text

_CONFIGURATION = "dagster.yaml"


@contextmanager
def open_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """Open ``$DAGSTER_HOME``; without one, ``<root>/dagster``, so that cron needs no set-up.

    Raises
    ------
    SettingsError : the home cannot be made there, or its dagster.yaml is not understood
    StorageFailed : its database takes no records, now or later
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.root / "dagster")
    try:
        prepare_home(home)
    except OSError as error:
        raise SettingsError(
            settings.file, "root", f"{home} cannot be used ({error.strerror}); choose another"
        ) from error
    os.environ["DAGSTER_HOME"] = str(home)
    _quiet()
    try:
        with _quick_records(), _opened(home) as instance:
            yield instance
    except OperationalError as error:
        raise StorageFailed(
            f"{home}: Dagster's records cannot be read or written ({error.orig}): check the disk "
            "and the space on it, or the database that dagster.yaml names"
        ) from error


@contextmanager
def _quick_records() -> Iterator[None]:
    """Let SQLite keep its records without waiting for the disk at each of a run's many events.

    A run makes a database of its own and tells some 25 events: 200 syncs, each of which waits for
    the frames that are being written meanwhile. In WAL, which Dagster uses too once a database is
    made, the mode NORMAL never leaves a broken one behind; a power cut may take the last runs'
    records, and what they made is found, or made again, at the next sync.
    """
    event.listen(Engine, "connect", _wait_less)
    try:
        yield
    finally:
        event.remove(Engine, "connect", _wait_less)


def _wait_less(connection: object, record: object) -> None:
    del record
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA synchronous=NORMAL").close()


def _opened(home: Path) -> DagsterInstance:
    try:
        return DagsterInstance.from_config(str(home))
    except (YAMLError, UnicodeDecodeError, DagsterError, CheckError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(
            home / _CONFIGURATION,
            "",
            f"is not understood; mend it, or delete it, and the next sync writes the project's own "
            f"there ({reason})",
        ) from error


def _quiet() -> None:
    """Keep logs off the terminal: what its user has to know comes as sentences in the end."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    astropy_log.setLevel(logging.ERROR)
    # With a handler there, no library gives the root logger one that prints.
    logging.getLogger().addHandler(logging.NullHandler())


def prepare_home(home: Path) -> None:
    """Put the project's `dagster.yaml` into a home that has none."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / _CONFIGURATION
    if not file.exists():
        write_text(file, packaged(_CONFIGURATION).read_text(encoding="utf-8"))
