"""Headers of products: what the far side knows gets in, and odd signs do not stop a session."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.frame import FrameKind
from astro_assets.sources.manifest import LocalFile, Manifest, Record, Status
from astro_assets.steps.calibrate import calibrate_session
from astro_assets.steps.inputs import raw_frames
from astro_assets.steps.masters import make_master
from astro_assets.steps.recipe import Recipe
from astro_assets.store import Store

SEED = 20261120
NIGHT = "2026-11-20"
SHAPE = (64, 64)
CAMERA = {"INSTRUME": "Cam", "GAIN": 100, "CCD-TEMP": -10.0}


def fetch(
    store: Store,
    batch: str,
    kind: FrameKind,
    frames: dict[str, tuple[float, dict[str, Any]]],
    facts: dict[str, str] | None = None,
) -> None:
    """Put frames of a level (ADU) and with these cards where a fetch puts them."""
    folder = store.raw("far", batch)
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    random = np.random.default_rng([SEED, len(batch)])
    for name, (level, cards) in frames.items():
        pixels = random.normal(level, 5, SHAPE).round().clip(0, 65535).astype(np.uint16)
        fits.PrimaryHDU(pixels, fits.Header(CAMERA | cards)).writeto(folder / name)
        content = (folder / name).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        here = LocalFile(name, len(content), sha256, False)
        records.append(
            Record(name, len(content), None, sha256, Status.PUBLISHED, "", (here,), facts or {})
        )
    Manifest(folder, "far", batch, kind, tuple(records)).save()


def bias_and_scaled_dark(store: Store) -> None:
    bias, dark = f"{NIGHT}_bias_Cam", f"{NIGHT}_dark_Cam_600s"
    fetch(
        store,
        bias,
        FrameKind.BIAS,
        {f"bias{n}.fits": (100.0, {"IMAGETYP": "Bias Frame"}) for n in range(5)},
    )
    cards = {"IMAGETYP": "Dark Frame", "EXPTIME": 600.0}
    fetch(store, dark, FrameKind.DARK, {f"dark{n}.fits": (160.0, cards) for n in range(5)})
    make_master(store, "far", bias, FrameKind.BIAS, None)
    make_master(store, "far", dark, FrameKind.DARK, None)


def test_a_session_with_odd_names_and_no_masters_says_so_and_goes_on(tmp_path: Path) -> None:
    store, session = Store(tmp_path), f"{NIGHT}_Andromede_Cam"
    facts = {"OBJECT": "Andromède", "FILTER": "Hα", "EXPTIME": "300"}
    lights = {"Größe °1.fits": (500.0, {"IMAGETYP": "Light Frame", "FILTER": ""})}
    fetch(store, session, FrameKind.LIGHT, lights, facts)
    summary = calibrate_session(store, "far", session, Recipe(), None)
    assert (summary.figures["frames"], summary.figures["calibrated"]) == (1, 1)
    assert "no master dark for camera Cam_bin1_gain100, 300 s at -10 °C" in str(
        summary.figures["missing_masters"]
    )
    (path,) = store.calibrated("far", session).glob("*.fits")
    header = fits.getheader(path)
    assert (header["OBJECT"], header["FILTER"], header["EXPTIME"]) == ("Andromede", "H?", 300)
    assert "300 s at -10 degC" in str(header["HISTORY"])


def test_a_card_that_breaks_the_standard_does_not_stop_a_session(tmp_path: Path) -> None:
    store, session = Store(tmp_path), f"{NIGHT}_M31_Cam"
    light = {"IMAGETYP": "Light Frame", "EXPTIME": 300.0, "FOCUSPOS": "here"}
    fetch(
        store,
        session,
        FrameKind.LIGHT,
        {"light-20261120-210000.fits": (500.0, light)},
        {"OBJECT": "M 31"},
    )
    raw = store.raw("far", session) / "light-20261120-210000.fits"
    content = raw.read_bytes()
    assert content.count(b"FOCUSPOS= 'here    '") == 1
    raw.write_bytes(content.replace(b"FOCUSPOS= 'here    '", b"FOCUSPOS= 1.0.0     "))
    summary = calibrate_session(store, "far", session, Recipe(), None)
    assert summary.figures["unusable"] == "none"
    assert (
        fits.getheader(store.calibrated("far", session) / "light-20261120-210000.fits")["OBJECT"]
        == "M 31"
    )


def test_a_scaled_dark_is_taken_off_and_told(tmp_path: Path) -> None:
    store, session = Store(tmp_path), f"{NIGHT}_M31_Cam"
    bias_and_scaled_dark(store)
    light = {"IMAGETYP": "Light Frame", "EXPTIME": 300.0}
    fetch(store, session, FrameKind.LIGHT, {"light-20261120-210000.fits": (500.0, light)})
    calibrate_session(store, "far", session, Recipe(), 1.0)
    image, header = fits.getdata(
        store.calibrated("far", session) / "light-20261120-210000.fits", header=True
    )
    assert np.median(image) == pytest.approx(500 - 100 - 60 / 2, abs=1)
    assert "dark x 0.5" in str(header["HISTORY"])
    used = [header["AAUSE1"].split()[0], header["AAUSE2"].split()[0]]
    assert used == [f"{NIGHT}_bias_Cam", f"{NIGHT}_dark_Cam_600s"]


def test_bias_is_taken_off_flats_also_beside_a_dark_that_holds_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    dark = f"{NIGHT}_dark_Cam_2s"
    cards = {"IMAGETYP": "Dark Frame", "EXPTIME": 2.0}
    fetch(store, dark, FrameKind.DARK, {f"d{n}.fits": (101.0, cards) for n in range(3)})
    make_master(store, "far", dark, FrameKind.DARK, None)  # before there is a bias
    bias, flat = f"{NIGHT}_bias_Cam", f"{NIGHT}_flat_Cam_Red"
    bias_cards = {"IMAGETYP": "Bias Frame"}
    fetch(store, bias, FrameKind.BIAS, {f"b{n}.fits": (100.0, bias_cards) for n in range(3)})
    make_master(store, "far", bias, FrameKind.BIAS, None)
    flat_cards = {"IMAGETYP": "Flat Field", "EXPTIME": 2.0, "FILTER": "Red"}
    fetch(store, flat, FrameKind.FLAT, {f"f{n}.fits": (20000.0, flat_cards) for n in range(3)})
    summary = make_master(store, "far", flat, FrameKind.FLAT, None)
    assert summary.figures["masters_used"] == bias
    # A dark made anew gives up its bias, and does not take itself for its own dark.
    again = make_master(store, "far", dark, FrameKind.DARK, None)
    assert again.figures["masters_used"] == bias
    assert np.median(fits.getdata(store.master("far", "dark", dark))) == pytest.approx(1, abs=1)


def test_a_late_frame_of_the_same_name_leaves_the_first_ones_product_its_name(
    tmp_path: Path,
) -> None:
    names = []
    for number, folders in enumerate((["one"], ["one", "two"])):
        store, session = Store(tmp_path / str(number)), "2026-11-20_M31_Cam"
        for folder in folders:
            (store.raw("far", session) / folder).mkdir(parents=True)
        light = {"IMAGETYP": "Light Frame", "EXPTIME": 60.0}
        fetch(
            store,
            session,
            FrameKind.LIGHT,
            {f"{folder}/img-0001.fits": (500.0, light) for folder in folders},
        )
        names.append([frame.name for frame in raw_frames(store, "far", session)])
    (first,), both = names
    assert first in both
    assert len(set(both)) == 2
