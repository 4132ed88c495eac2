"""Metadata as AstroPhotography and AstroFiler get it wrong, and as it must be here.

Each test is named after the error in those programs that it would catch.
"""

import re
import socket
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.frame import FrameKind, Place
from astro_assets.night import night_of
from astro_assets.settings import (
    FolderSource,
    ItelescopeSource,
    Secrets,
    Settings,
    Site,
    TelescopeOrgSource,
    VesperaSource,
)
from astro_assets.sources.itelescope import place
from astro_assets.sources.protocol import RemoteFile
from astro_assets.steps.calibrate import calibrate_session
from astro_assets.steps.recipe import Recipe, recipe_of
from astro_assets.store import Store
from astro_assets_tests.steps.test_headers import fetch

SESSION = "2026-11-20_M31_Cam"
HOME = Place(53.2, 6.6, 5.0, "Home")
LIGHT = {"IMAGETYP": "Light Frame", "EXPTIME": 1200.0, "RA": 10.6847, "DEC": 41.2688,
         "DATE-OBS": "2026-11-20T20:00:00"}  # fmt: skip


def calibrated(root: Path, cards: dict[str, Any], recipe: Recipe) -> tuple[fits.Header, str]:
    """The header of one light with these cards, and the remarks on it."""
    store = Store(root)
    name = "light-20261120-200000.fits"
    fetch(store, SESSION, FrameKind.LIGHT, {name: (500.0, LIGHT | cards)}, {"OBJECT": "M 31"})
    summary = calibrate_session(store, "far", SESSION, recipe, 1.0)
    assert summary.figures["calibrated"] == 1, summary.figures
    (path,) = store.calibrated("far", SESSION).glob("*.fits")
    return fits.getheader(path), " ".join(summary.remarks)


def test_a_night_is_not_split_at_utc_midnight() -> None:
    """AstroFiler's sessions are: in Australia in mid-evening, in America before midnight."""
    for zone, evening, morning in (
        ("Australia/Sydney", (2026, 11, 20, 10), (2026, 11, 20, 17)),
        ("America/Denver", (2026, 11, 21, 1), (2026, 11, 21, 12)),
        ("Europe/Madrid", (2026, 11, 20, 20), (2026, 11, 21, 5)),
    ):
        nights = {night_of(datetime(*hour, tzinfo=UTC), zone) for hour in (evening, morning)}
        assert nights == {date(2026, 11, 20)}


@pytest.mark.parametrize(
    ("folder", "target"),
    [
        ("NGC 6888 - Crescent", "NGC 6888 - Crescent"),
        ("Sh2-155", "Sh2-155"),
        ("Barnard-33", "B 33"),
    ],
)
def test_a_name_is_not_split_at_each_hyphen_of_its_path(folder: str, target: str) -> None:
    """AstroPhotography splits the whole path at ``-``, so a folder or target with one is lost."""
    written = folder.replace(" ", "_")
    path = (
        f"T20/{folder}/20210708/raw-T20-some-body-{written}-20210708-220604-Ha-BIN1-E-300-001.fit"
    )
    file = RemoteFile(path, 1000, datetime(2021, 7, 9, tzinfo=UTC))
    placed = place(file, "UTC", ("raw",))
    assert placed is not None
    assert placed.night == date(2021, 7, 8)
    assert placed.facts["FILTER"] == "Ha"
    assert placed.facts["EXPTIME"] == "300"
    assert placed.facts["OBSERVER"] == "some-body"
    assert placed.target.replace("_", " ") == folder


def test_airmass_is_that_of_the_middle_and_not_of_the_start(tmp_path: Path) -> None:
    header, _ = calibrated(tmp_path, {}, Recipe(place=HOME))
    short, _ = calibrated(tmp_path / "start", {"EXPTIME": 0.02}, Recipe(place=HOME))
    assert header["DATE-AVG"] == "2026-11-20T20:10:00"
    assert header["JD_UTC"] - short["JD_UTC"] == pytest.approx(600 / 86400, abs=1e-6)
    assert header["OBJCTALT"] - short["OBJCTALT"] > 0.3


def test_no_image_needs_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AstroPhotography looks each target's name up at CDS."""

    def refused(*words: object, **options: object) -> None:
        raise AssertionError(f"a connection to {words}")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    header, remarks = calibrated(tmp_path, {"RA": "", "DEC": ""}, Recipe(place=HOME))
    assert (header["RA-OBJ"], header["DEC-OBJ"]) == pytest.approx((10.685, 41.269), abs=0.01)
    assert 0 < header["MOONILLU"] < 1
    assert header["AIRMASS"] == pytest.approx(1 / np.sin(np.radians(header["OBJCTALT"])), rel=0.02)
    assert header["SITENAME"] == header["OBSERVAT"] == "Home"
    assert remarks == ""


def test_a_site_that_nobody_knows_is_said_and_not_guessed(tmp_path: Path) -> None:
    """AstroPhotography knows 19 telescopes at 4 sites and stops at the twentieth."""
    header, _ = calibrated(tmp_path, {}, Recipe())
    assert "AIRMASS" not in header
    assert "SITELAT" not in header
    assert header["BJD_TDB"] == pytest.approx(2461365.345, abs=0.01)
    assert "not known where the telescope stands" in str(header["HISTORY"]).replace("\n", " ")


def test_the_headers_site_counts_before_that_of_the_settings(tmp_path: Path) -> None:
    cards = {"SITELAT": "-31 16 24", "SITELONG": "149 03 52", "RA": 10.0, "DEC": -70.0,
             "DATE-OBS": "2026-11-20T12:00:00"}  # fmt: skip
    header, remarks = calibrated(tmp_path, cards, Recipe(place=HOME))
    assert (header["SITELAT"], header["SITELONG"]) == pytest.approx((-31.273, 149.064), abs=0.001)
    assert header["OBJCTALT"] > 30
    assert "SITENAME" not in header, "the name of another site"
    assert "OBSERVAT" not in header
    assert remarks == ""


@pytest.mark.parametrize(
    ("cards", "sentence"),
    [
        ({"DATE-OBS": "2026-11-20T12:00:00"}, "taken by day, with the Sun .* DATE-OBS is local"),
        ({"SITELAT": 53.2, "SITELONG": -6.6}, "counts west as positive"),
        ({"RA": 200.0, "DEC": -60.0}, "points .* below the horizon"),
        ({"JD": 2461365.2916667}, r"\+1 h off"),
    ],
    ids=["by day", "west", "below", "zone"],
)
def test_what_cannot_be_is_told(tmp_path: Path, cards: dict[str, Any], sentence: str) -> None:
    _, remarks = calibrated(tmp_path, cards, Recipe(place=HOME))
    assert re.search(sentence, remarks), remarks


def test_where_each_kind_of_source_stands() -> None:
    home = Settings(
        file=Path("x.toml"),
        root=Path("x"),
        site=Site(name="Home", latitude_deg=53.2, longitude_deg=6.6),
        secrets=Secrets({}, Path(".env")),
    )
    own = VesperaSource(name="vespera", kind="vespera")
    named = FolderSource(
        name="folder", kind="folder", path=Path("x"),
        site={"latitude_deg": -30.5, "longitude_deg": -70.8},
    )  # fmt: skip
    site = TelescopeOrgSource(name="org", kind="telescope_org", user_env="U", password_env="P")
    rented = ItelescopeSource(name="it", kind="itelescope", user_env="U", password_env="P")
    assert recipe_of(own, home).place == Place(53.2, 6.6, 0.0, "Home")
    assert recipe_of(named, home).place == Place(-30.5, -70.8)
    org = recipe_of(site, home).place
    assert org is not None
    assert org.name == "Teide Observatory"
    assert recipe_of(rented, home).place is None
    assert recipe_of(FolderSource(name="f", kind="folder", path=Path("x")), home).place is None
