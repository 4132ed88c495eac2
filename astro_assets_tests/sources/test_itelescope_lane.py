"""iTelescope's frames and masters from its server into the lane."""

import numpy as np
import pytest

from astro_assets.errors import AstroAssetsError
from astro_assets.frame import FrameKind
from astro_assets.sim.truth_writer import fits_bytes
from astro_assets.steps import calibrate, masters
from astro_assets.steps.matching import read_master_header
from astro_assets.steps.recipe import recipe_of
from astro_assets.store import read_image
from astro_assets_tests.sources.conftest import Night, put, zipped

LIBRARY = "CALIBRATION FILES/T20/Masters"


def test_raw_frames_are_corrected_with_the_library_s_masters(night: Night) -> None:
    rng = np.random.default_rng(20)
    vignette = 1 - 0.3 * np.hypot(*np.indices((64, 96))) / np.hypot(64, 96)
    bias, rate = rng.normal(1000, 2, (64, 96)), rng.normal(1.0, 0.01, (64, 96))
    camera = {"INSTRUME": "SBIG STL-11000", "CCD-TEMP": -15.1, "EGAIN": 1.0}
    light = np.rint(5000 * vignette + bias + 300 * rate).astype(np.uint16)
    name = "raw-T20-observer-NGC_7000-20261120-191000-Red-BIN1-W-300-001.fit"
    header = camera | {"OBJECT": "", "TELESCOP": "", "DATE-OBS": "2026-11-21T02:10:00"}
    put(night.served / f"itelescope/T20/NGC 7000/20261120/{name}.zip",
        zipped({name: fits_bytes(light, header)}))  # fmt: skip
    library = night.served / "itelescope" / LIBRARY
    put(library / "Bias/2020-04/Master_Bias_1_96x64_Bin1x1_Temp-15C_ExpTime0s.fit",
        fits_bytes(bias.astype(np.float32), camera | {"NCOMBINE": 50}))  # fmt: skip
    put(library / "Darks/2020-04/Master_Dark_1_96x64_Bin1x1_Temp-15C_ExpTime900s.fit",
        fits_bytes((900 * rate).astype(np.float32), camera | {"CALSTAT": "B"}))  # fmt: skip
    put(library / "Flats/2020-04/Master_Flat_Red_1_96x64_Bin1x1_Temp-15C_ExpTime3s.fit",
        fits_bytes((30_000 * vignette).astype(np.float32), camera))  # fmt: skip
    text = night.file.read_text().replace(
        'kind = "itelescope"', 'kind = "itelescope"\nframes = ["raw", "masters"]'
    )
    night.file.write_text(text)
    night = night.with_more_settings("")
    manifests = night.fetch("itelescope")
    sets = {manifest.kind: key for key, manifest in manifests.items()}
    for kind in (FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT):
        masters.make_master(night.store, "itelescope", sets[kind], kind, None)
    made = {kind: night.store.master("itelescope", kind, sets[kind]) for kind in sets if
            kind is not FrameKind.LIGHT}  # fmt: skip
    assert read_image(made[FrameKind.BIAS]).header["NCOMBINE"] == 50
    assert read_master_header(made[FrameKind.DARK]).bias_subtracted
    np.testing.assert_array_equal(
        read_image(made[FrameKind.DARK]).image, (900 * rate).astype(np.float32)
    )
    history = str(read_image(made[FrameKind.DARK]).header["HISTORY"])
    assert "ready-made master, taken over: Master_Dark_1_96x64" in history
    session = sets[FrameKind.LIGHT]
    assert session == "2026-11-20_NGC7000_T20"
    calibrate.calibrate_session(
        night.store, "itelescope", session, recipe_of(night.settings.source("itelescope")), None
    )
    product = read_image(
        next(night.store.calibrated("itelescope", session).glob("*NGC_7000*.fits"))
    )
    assert product.header["CALSTAT"] == "BDF"
    assert product.image.std() / product.image.mean() < 0.005
    assert product.image.mean() == pytest.approx(5000 * np.median(vignette), rel=0.005)


def test_calibrated_frames_in_a_lane_with_masters_are_still_adopted(night: Night) -> None:
    text = night.file.read_text().replace(
        'kind = "itelescope"', 'kind = "itelescope"\nframes = ["calibrated", "raw", "masters"]'
    )
    night.file.write_text(text)
    night = night.with_more_settings("")
    night.fetch("itelescope")
    source = night.settings.source("itelescope")
    session = "2026-11-20_NGC7000_T20"
    calibrate.calibrate_session(night.store, "itelescope", session, recipe_of(source), None)
    product = read_image(next(night.store.calibrated("itelescope", session).glob("*.fits")))
    assert "adopted as calibrated" in str(product.header["HISTORY"])


@pytest.mark.parametrize(("sky_adu", "told"), [(20.0, True), (400.0, False)])
def test_a_stale_pedestal_is_noted_and_not_used(night: Night, sky_adu: float, told: bool) -> None:
    name = "Calibrated-iTelescope-Whale_Galaxy_NGC_55-900s-Red-5.fits"
    pixels = np.random.default_rng(1).normal(sky_adu, 3, (64, 96)).astype(np.float32)
    put(night.served / "itelescope/T72/Whale/20261120" / name,
        fits_bytes(pixels, {"PEDESTAL": -100, "HIERARCH OBSTARGET": "NGC 55"}))  # fmt: skip
    night.fetch("itelescope")
    session = "2026-11-20_Whale-Galaxy-NGC-55_T72"
    source = night.settings.source("itelescope")
    summary = calibrate.calibrate_session(
        night.store, "itelescope", session, recipe_of(source), None
    )
    assert ("PEDESTAL = -100" in " ".join(summary.remarks)) is told
    product = read_image(next(night.store.calibrated("itelescope", session).glob("*.fits")))
    expected = sky_adu if told else sky_adu - 100
    assert float(np.median(product.image)) == pytest.approx(expected, abs=1)
    assert ("stale" in str(product.header["HISTORY"])) is told
    assert float(product.header["SITELAT"]) == pytest.approx(-30.5, abs=0.1)


def test_a_listing_that_fails_is_no_empty_library(night: Night) -> None:
    night.observatory.stop("itelescope")
    with pytest.raises(AstroAssetsError):
        night.look("itelescope")
