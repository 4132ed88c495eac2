"""The record of what a product was made with: when it asks for another run, and when not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from astro_assets.frame import FrameKind
from astro_assets.sources.manifest import FILE_NAME
from astro_assets.steps import made_with, master_files, matching
from astro_assets.steps.made_with import Inputs, note, read
from astro_assets.steps.master_files import MasterFile
from astro_assets.steps.matching import Masters
from astro_assets.steps.recipe import Recipe
from astro_assets.steps.setup import Setup
from astro_assets.steps.staleness import Staleness
from astro_assets.store import Store
from astro_assets_tests.steps.test_matching import BIAS, NIGHT, master, write_master
from astro_assets_tests.steps.test_rules import SETUP

DARK = master("dark", "b")


def inputs(*masters: MasterFile, version: str = "1") -> Inputs:
    return Inputs((version,), Masters(masters))


class Product:
    """A product and its record."""

    def __init__(self, folder: Path) -> None:
        self.record, self.path = folder / "made_with.json", folder / "product"

    def chain(self, now: Inputs) -> str:
        return now.chain(self.record, self.path, NIGHT)

    def make(self, now: Inputs, *setups: Setup) -> None:
        note(self.record, self.path, NIGHT, now, setups or (SETUP,))
        self.path.touch()


@pytest.fixture
def product(tmp_path: Path) -> Product:
    return Product(tmp_path)


def test_what_was_never_made_and_what_is_as_it_was_made_have_no_chain(product: Product) -> None:
    assert product.chain(inputs()) == ""
    product.make(inputs(BIAS))
    assert product.chain(inputs(BIAS)) == ""


def test_the_chain_is_the_same_before_and_after_the_run_that_it_asks_for(product: Product) -> None:
    product.make(inputs(BIAS))
    now = inputs(BIAS, DARK)
    asked = product.chain(now)
    assert asked
    product.make(now)
    assert product.chain(now) == asked


def test_other_frames_with_other_masters_ask_for_no_run_more(product: Product) -> None:
    """The run that fetches frames of another setup has made them with their masters."""
    dark = replace(DARK, exposure_s=60.0, digest="60 s")
    product.make(inputs(BIAS, DARK, dark))
    grown = inputs(BIAS, DARK, dark)
    assert product.chain(grown) == ""
    product.make(grown, SETUP, replace(SETUP, exposure_s=60.0))
    assert product.chain(grown) == ""


def test_a_state_that_comes_back_is_another_change(product: Product) -> None:
    one, other = inputs(BIAS), inputs(BIAS, DARK)
    product.make(one)
    seen = [product.chain(one)]
    for now in (other, one, other):
        seen.append(product.chain(now))
        product.make(now)
    assert len(set(seen)) == 4


def test_a_run_that_chooses_otherwise_than_the_look_is_asked_for_once(product: Product) -> None:
    product.make(inputs(BIAS))
    seen = set()
    for _ in range(5):
        seen.add(product.chain(inputs(BIAS, DARK)))  # the look
        product.make(inputs(BIAS))  # the run
    assert len(seen) == 1


@pytest.mark.parametrize("content", ["", "{}", '{"setups": [{"camera": 1}]}', "[1]"])
def test_a_damaged_record_is_as_good_as_none(product: Product, content: str) -> None:
    product.make(inputs(BIAS))
    product.record.write_text(content)
    assert read(product.record) is None
    assert product.chain(inputs(BIAS)) != ""
    product.make(inputs(BIAS))
    assert read(product.record) is not None


# Many


SESSIONS, SETUPS, MASTERS = 100, 8, 60


@pytest.fixture
def many(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    for number in range(MASTERS):
        kind = ("bias", "dark", "flat")[number % 3]
        cards: dict[str, Any] = {"CCD-TEMP": -10.0, "EXPTIME": 300.0 * (kind == "dark")}
        if kind == "flat":
            cards["FILTER"] = f"F{number % 7}"
        night = (NIGHT - timedelta(days=number)).isoformat()
        write_master(store, kind, f"{night}_{kind}_{number}", AANIGHT=night, **cards)
    masters = Masters(master_files.masters(store, "rented"))
    for number in range(SESSIONS):
        night = date(2025, 11, 20) + timedelta(days=number)
        session = f"{night.isoformat()}_M31_T20"
        made = made_with.session_inputs(masters, session, Recipe(), None)
        folder = store.calibrated("rented", session)
        setups = [
            replace(SETUP, filter=f"F{n % 7}", temperature_c=-10 + n % 3 / 10)
            for n in range(SETUPS)
        ]
        folder.mkdir(parents=True)
        note(folder / made_with.FILE, folder / made_with.LEDGER, night, made, setups)
        (folder / made_with.LEDGER).touch()
        raw = store.raw("rented", folder.name)
        raw.mkdir(parents=True)
        (raw / FILE_NAME).touch()
    return store


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    really: Callable[..., Any] = getattr(module, name)
    calls = [0]

    def counting(*given: Any, **more: Any) -> Any:
        calls[0] += 1
        return really(*given, **more)

    monkeypatch.setattr(module, name, counting)
    return calls


def test_a_look_at_many_sessions_is_cheap(many: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers are read once, and a setup is judged once a look, whatever the number of nights."""
    headers = counted(monkeypatch, master_files.fits, "getheader")
    judged = counted(monkeypatch, matching, "broken")
    for look in range(2):
        found = Staleness(many, "rented", Recipe(), None)
        assert list(found.unlisted((), FrameKind.LIGHT)) == []
        assert headers[0] <= MASTERS
        assert judged[0] <= (look + 1) * SETUPS * (MASTERS + 3 * MASTERS)
    changed = Staleness(many, "rented", Recipe(), 2.0)
    assert len(list(changed.unlisted((), FrameKind.LIGHT))) == SESSIONS
