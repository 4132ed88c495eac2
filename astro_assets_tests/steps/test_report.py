"""The morning's page: what it says of a session's sky, optics and frames."""

import html
from pathlib import Path

import pandas as pd
import pytest

from astro_assets.steps import solve
from astro_assets.steps.inventory import STACK_STATE
from astro_assets.steps.report import write_report
from astro_assets.store import Store, write_json

NIGHT = "2026-11-20"
SESSION = f"{NIGHT}_M31_T20"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    folder = store.stacks("attic", SESSION)
    folder.mkdir(parents=True)
    state = {"source": "attic", "session": SESSION, "night": NIGHT, "target": "M31",
             "filters": ["Red"], "digest": "x", "frames": 1}  # fmt: skip
    write_json(folder / STACK_STATE, state)
    store.solved("attic", SESSION).mkdir(parents=True)
    return store


def page(store: Store, *rows: dict[str, object]) -> str:
    usual = {"source": "attic", "session": SESSION, "filter": "Red", "accepted": True,
             "solved": True, "reason": ""}  # fmt: skip
    table = pd.DataFrame([{**usual, "frame": str(k), **row} for k, row in enumerate(rows)])
    table.to_parquet(store.solved("attic", SESSION) / solve.TABLE)
    return html.unescape(write_report(store, NIGHT).path.read_text(encoding="utf-8"))


def test_sky_and_depth_stand_there(store: Store) -> None:
    row = {"fwhm_arcsec": 2.36, "transparency_best": 0.934, "sky_mag_arcsec2": 21.26,
           "limiting_mag": 18.04, "airmass": 1.2, "moon_altitude_deg": 20.0,
           "moon_illumination": 0.34, "moon_separation_deg": 62.0}  # fmt: skip
    text = page(store, row, {**row, "airmass": 1.5})
    assert "Airmass 1.20 to 1.50, Moon 34 % lit, 62° away." in text
    for figure in ("2.36", "93 %", "21.3", "18.0"):
        assert f">{figure}</td>" in text
    assert "FWHM changes over the field" not in text
    assert "no Moon" in page(store, {**row, "moon_altitude_deg": -3.0})


def test_a_tilted_sensor_is_told_when_it_is_clear(store: Store) -> None:
    tilted = {"psf_tilt": 0.35, "psf_tilt_error": 0.02, "psf_curvature": 0.05,
              "psf_curvature_error": 0.01}  # fmt: skip
    assert "FWHM changes over the field: +35 % from side to side." in page(store, tilted, tilted)
    doubtful = {**tilted, "psf_tilt_error": 0.2}
    assert "FWHM changes over the field" not in page(store, doubtful)


def test_tables_of_before_and_broken_ones_still_give_a_page(store: Store) -> None:
    assert "1 session, 1 frames," in page(store, {"fwhm_arcsec": 2.0})
    (store.solved("attic", SESSION) / solve.TABLE).write_bytes(b"broken")
    text = write_report(store, NIGHT).path.read_text(encoding="utf-8")
    assert "0 frames, 0 solved" in text


def test_rejected_frames_have_their_reason(store: Store) -> None:
    text = page(store, {"accepted": False, "reason": "cloud: transparency 0.26, limit 0.50"})
    assert "cloud: transparency 0.26, limit 0.50" in text
