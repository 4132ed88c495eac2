"""What is set aside shows, in the web UI's metadata and in the report, and holds up nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import dagster as dg
import pytest
from dagster import DagsterInstance

from astro_assets.defs import names
from astro_assets.errors import NothingToDo
from astro_assets.steps import inventory
from astro_assets.steps.quarantine import set_aside
from astro_assets.steps.report import write_report
from astro_assets.store import Store
from astro_assets_tests.defs.conftest import Hand
from astro_assets_tests.sources.conftest import (
    Night,
    add_itelescope,
    add_pi,
    frame,
    itelescope_name,
    put,
    zipped,
)

NIGHT = "2026-11-20"
SESSION = f"{NIGHT}_NGC7000_T20"
BROKEN = f"T20/NGC 7000/20261120/{itelescope_name(3)}.zip"


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def broken(night: Night) -> Night:
    """A night with one frame of three that is cut at its source."""
    add_itelescope(night.served, 3, zipped({itelescope_name(3): frame(3)[:4000]}))
    return night


def fetched(night: Night, instance: DagsterInstance) -> dict[str, Any]:
    """The metadata of the raw lights, as the web UI shows them."""
    hand = Hand.over(night.settings, instance)
    instance.add_dynamic_partitions(names.sessions("itelescope"), [SESSION])
    key = dg.AssetKey(["itelescope", "raw_lights"])
    result = hand.defs.resolve_job_def(names.session_job("itelescope")).execute_in_process(
        instance=instance,
        partition_key=SESSION,
        asset_selection=[key],
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    (made,) = result.asset_materializations_for_node("itelescope__raw_lights")
    return {
        name: value if isinstance(value, dg.TableMetadataValue) else value.value
        for name, value in made.metadata.items()
    }


def test_a_file_that_is_set_aside_shows_with_its_reason_and_the_place_of_its_bytes(
    broken: Night, instance: DagsterInstance
) -> None:
    shown = fetched(broken, instance)
    assert (shown["frames"], shown["quarantined"]) == (2, 1)
    (record,) = shown["table"].records
    assert record.data["quarantined"] == BROKEN
    assert "is cut: 4000 bytes" in record.data["reason"]
    kept = Path(record.data["bytes"])
    assert kept.read_bytes() == (broken.served / "itelescope" / BROKEN).read_bytes()
    assert broken.store.quarantine("itelescope") in kept.parents


def test_without_a_quarantine_there_is_no_table(night: Night, instance: DagsterInstance) -> None:
    shown = fetched(night, instance)
    assert shown["quarantined"] == 0
    assert "table" not in shown


def test_a_mended_file_is_not_shown_any_more(broken: Night) -> None:
    broken.fetch("itelescope")
    assert [e.file for e in set_aside(broken.store, "itelescope", SESSION)] == [BROKEN]
    add_itelescope(broken.served, 3)
    broken.fetch("itelescope")
    assert set_aside(broken.store, "itelescope", SESSION) == []
    assert list(broken.store.quarantine("itelescope").rglob("*.zip"))


# The report


def page(store: Store) -> str:
    return (store.root / f"reports/{NIGHT}/index.html").read_text(encoding="utf-8")


def test_the_report_names_what_is_set_aside_also_of_calibrations(broken: Night) -> None:
    add_pi(broken.served, "dark-2.fits", frame(51)[:3000], IMAGETYP="Dark Frame",
           INSTRUME="ZWO ASI294MC", GAIN="120")  # fmt: skip
    broken.fetch("itelescope")
    broken.fetch("pi")
    assert list(inventory.nights(broken.store)) == [NIGHT]
    summary = write_report(broken.store, NIGHT)
    assert summary.figures["quarantined"] == 2
    text = page(broken.store)
    for part in (itelescope_name(3), "dark-2.fits", "kept</a>", "Quarantine"):
        assert part in text
    for entry in set_aside(broken.store, "itelescope", SESSION):
        assert entry.bytes_at
        link = text.partition(f"{BROKEN}</td>")[2].partition('href="')[2].partition('"')[0]
        linked = broken.store.root / f"reports/{NIGHT}" / unquote(link)
        assert linked.resolve() == entry.bytes_at


def test_a_report_is_due_again_when_something_is_set_aside(broken: Night) -> None:
    store = broken.store
    with pytest.raises(NothingToDo):
        write_report(store, NIGHT)
    assert inventory.nights(store) == {}
    broken.fetch("itelescope")
    before = dict(inventory.nights(store))
    add_itelescope(broken.served, 4, b"no zip at all")
    broken.fetch("itelescope")
    assert inventory.nights(store) != before


def test_a_damaged_note_does_not_hide_the_file(broken: Night) -> None:
    broken.fetch("itelescope")
    (note,) = broken.store.quarantine("itelescope").rglob("*.reason.json")
    note.write_text("{")
    (entry,) = set_aside(broken.store, "itelescope", SESSION)
    assert entry.file == Path(BROKEN).name
    assert "is damaged" in entry.reason


def test_a_damaged_manifest_hides_nothing(broken: Night) -> None:
    broken.fetch("itelescope")
    (broken.store.raw("itelescope", SESSION) / "manifest.json").write_text("{")
    assert [e.file for e in set_aside(broken.store, "itelescope", SESSION)] == [BROKEN]


def test_what_never_arrived_is_shown_without_bytes(night: Night) -> None:
    store = night.store
    notes = {"path": "T20/a.zip", "reason": "it is not handed over"}
    put(store.quarantine("itelescope") / SESSION / "T20/a.zip.reason.json", json.dumps(notes))
    (entry,) = set_aside(store, "itelescope", SESSION)
    assert entry.bytes_at is None
    write_report(store, NIGHT)
    assert "none arrived" in page(store)
