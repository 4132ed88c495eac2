"""Errors of other packages in masters and calibration, each with the test that would catch it here.

AstroFiler's and AstroPhotography's, as they are known from their code and their users.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.errors import NoMatchingMaster, NothingToDo
from astro_assets.frame import FrameKind
from astro_assets.imaging.calibrate import Masters, calibrate
from astro_assets.imaging.masters import master_flat
from astro_assets.imaging.noise import read_noise_adu
from astro_assets.sim.cameras import T20
from astro_assets.sim.session import simulate_session, small_camera
from astro_assets.steps.masters import make_master
from astro_assets.steps.recipe import Recipe
from astro_assets.store import Store
from astro_assets_tests.steps.raw_files import SHAPE, Lane, ready_made

BIAS, DARK, FLAT = FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT


@pytest.fixture
def lane(tmp_path: Path) -> Lane:
    return Lane(Store(tmp_path))


def median(lane: Lane, name: str = "light") -> float:
    return float(np.median(lane.product(name).image))


# AstroFiler


def test_astrofiler_dark_that_is_not_subtracted_is_not_recorded_as_done(lane: Lane) -> None:
    lane.master(BIAS, 100)
    lane.master(DARK, 160, EXPTIME=60.0)  # shorter than the light, so it cannot serve
    lane.lights({"light": lane.noise(500)})
    header = lane.product("light").header
    assert header["CALSTAT"] == "B"
    assert not any("dark" in str(header[f"AAUSE{n}"]) for n in (1,))
    assert "AAUSE2" not in header
    assert median(lane) == pytest.approx(400, abs=2)
    assert lane.told("no master dark")


def test_astrofiler_raw_frames_are_not_taken_for_calibrated_ones(lane: Lane) -> None:
    """A frame that lost nothing says so, and where masters are required it is not there at all."""
    lane.lights({"light": lane.noise(500)})
    assert lane.product("light").header["CALSTAT"] == ""
    lane.recipe = replace(lane.recipe, required_masters=("bias", "dark", "flat"))
    summary = lane.calibrated()
    assert summary.figures["calibrated"] == 0
    assert "its source requires one (required_masters)" in str(summary.figures["unusable"])
    assert list(lane.store.calibrated("far", "2026-11-20_M31_Cam").glob("*.fits")) == []


def test_astrofiler_undebiased_dark_is_not_subtracted_after_the_bias(lane: Lane) -> None:
    lane.master(DARK, 160, EXPTIME=300.0)  # before there is a bias: it holds it
    lane.master(BIAS, 100)
    lane.lights({"light": lane.noise(500)})
    assert median(lane) == pytest.approx(500 - 160, abs=2)
    assert lane.product("light").header["CALSTAT"] == "BD"
    plane = np.ones(SHAPE, np.float32)
    with pytest.raises(NoMatchingMaster, match="lose it twice"):
        calibrate(
            plane,
            masters=Masters(
                dark=plane, dark_exposure_s=300.0, dark_has_bias=True, bias_is_off=True
            ),
            exposure_s=300.0,
            gain_e_per_adu=1.0,
            saturation_adu=None,
        )


def test_astrofiler_results_are_not_clipped_to_16_bits(lane: Lane) -> None:
    lane.gain = 2.0
    lane.master(BIAS, 1000)
    bright, faint = lane.noise(60000), lane.noise(1000)
    lane.lights({"bright": bright, "faint": faint})
    assert median(lane, "bright") == pytest.approx(118_000, rel=1e-3)
    image = lane.product("faint").image
    assert image.dtype == np.float32
    assert 0.4 < float((image < 0).mean()) < 0.6
    assert image.std() == pytest.approx(2 * 5, rel=0.15)
    lane.combined(DARK, {f"d{n}": lane.noise(1000) for n in range(5)}, EXPTIME=300.0)
    dark = lane.master_file(DARK).image
    assert dark.dtype == np.float32
    assert float((dark < 0).mean()) > 0.3


def test_astrofiler_flat_limits_are_applied_before_normalisation(lane: Lane) -> None:
    """To counts, not to numbers around one, where all pixels would be beyond them."""
    lane.master(BIAS, 100)
    vignette = 1 - 0.4 * np.hypot(*np.indices(SHAPE)) / np.hypot(*SHAPE)
    flats = {f"flat{n}": 100 + 20000 * vignette + lane.noise(0) for n in range(4)}
    flats["burnt"] = np.full(SHAPE, 65535.0)
    flats["night"] = lane.noise(180)
    summary = lane.combined(FLAT, flats, EXPTIME=2.0, FILTER="Red")
    assert summary.figures["frames"] == 4
    assert "burnt" in str(summary.figures["refused"])
    assert "saturated" in str(summary.figures["refused"])
    assert "night" in str(summary.figures["refused"])
    flat = lane.master_file(FLAT).image
    assert np.isfinite(flat).all()
    np.testing.assert_allclose(flat, vignette / np.median(vignette), rtol=0.003)


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"CCD-TEMP": 5.0}, "-10 °C is not 5 °C"),
        ({"GAIN": 0}, "gain 100 is not gain 0"),
        ({"OFFSET": 30}, "the master tells no offset"),
        ({"XBINNING": 2}, "binning 1 is not binning 2"),
    ],
)
def test_astrofiler_temperature_gain_and_offset_are_heeded_when_masters_are_matched(
    lane: Lane, cards: dict[str, object], reason: str
) -> None:
    lane.master(DARK, 160, EXPTIME=300.0)
    summary = lane.lights({"light": lane.noise(500)}, **cards)
    assert median(lane) == pytest.approx(500, abs=2)
    assert reason in str(summary.figures["masters_refused"])
    assert lane.told(reason.replace("°", "deg"))


# AstroPhotography


def test_astrophotography_flats_are_corrected_and_scaled_before_they_are_combined(
    lane: Lane,
) -> None:
    """Twilight: levels that differ by more than the noise, above a bias that is not light."""
    lane.master(BIAS, 5000)
    vignette = 1 - 0.4 * np.hypot(*np.indices(SHAPE)) / np.hypot(*SHAPE)
    levels = (9000, 12000, 16000, 20000)
    flats = {f"f{level}": 5000 + level * vignette + lane.noise(0) for level in levels}
    lane.combined(FLAT, flats, EXPTIME=2.0, FILTER="Red")
    np.testing.assert_allclose(
        lane.master_file(FLAT).image, vignette / np.median(vignette), rtol=0.004
    )


def test_astrophotography_filter_and_binning_of_flats_are_checked(lane: Lane) -> None:
    lane.master(BIAS, 100)
    flats = {f"flat{n}": lane.noise(20000) for n in range(4)}
    lane.combined(FLAT, flats, EXPTIME=2.0, FILTER="Red")
    summary = lane.lights({"light": lane.noise(500)}, FILTER="Blue")
    assert lane.product("light").header["CALSTAT"] == "B"
    assert "filter Red is not filter Blue" in str(summary.figures["masters_refused"])


@pytest.mark.parametrize("sign", [1, -1])
def test_astrophotography_pedestal_is_honoured_once(lane: Lane, sign: int) -> None:
    lane.master(BIAS, 1000)
    lane.lights({"light": lane.noise(1600)}, PEDESTAL=sign * 100)
    assert median(lane) == pytest.approx(500, abs=2)


def test_astrophotography_read_noise_is_not_low_by_the_truncation() -> None:
    """A cut at 3 sigma without its correction makes a Gaussian 1.3 % too narrow."""
    off = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        frames = [np.rint(rng.normal(1000, 6.0, (300, 400))).astype(np.uint16) for _ in range(6)]
        off.append(read_noise_adu(frames)[0] / 6.0 - 1)
    assert abs(np.mean(off)) < 0.002
    assert max(map(abs, off)) < 0.01


def test_astrophotography_the_read_noise_goes_into_what_needs_it(lane: Lane) -> None:
    lane.gain = 2.0
    lane.recipe = Recipe(variance_plane=True)
    lane.combined(BIAS, {f"b{n}": lane.noise(100, 6.0) for n in range(8)})
    bias = lane.master_file(BIAS).header
    assert bias["RDNOIADU"] == pytest.approx(6.0, rel=0.03)
    assert 0 < bias["RDNADUER"] < 0.2
    lane.lights({"light": lane.noise(100, 6.0)})
    product = lane.product("light")
    assert product.header["RDNOISE"] == pytest.approx(2 * bias["RDNOIADU"], rel=1e-5)
    assert product.header["RDNOIERR"] > 0
    dark = product.image < 0  # no electrons: the read-out and the rounding alone
    variance = product.planes["VARIANCE"]
    assert float(np.median(variance[dark])) == pytest.approx(
        product.header["RDNOISE"] ** 2 + 4 / 12, rel=1e-4
    )


@pytest.mark.parametrize("calstat", ["M", "BM"])
@pytest.mark.parametrize("exposure_s", [300.0, 100.0])
def test_astrophotography_a_master_dark_with_or_without_its_bias_is_used_right(
    lane: Lane, calstat: str, exposure_s: float
) -> None:
    bias, current = lane.noise(1000, 2), 60.0
    lane.combined(
        BIAS, {"b": bias.astype(np.float32)}, facts=ready_made(BIAS), CALSTAT="M", EXPTIME=0.0
    )
    dark = np.full(SHAPE, current) + (0 if "B" in calstat else bias)
    lane.combined(
        DARK,
        {"d": dark.astype(np.float32)},
        facts=ready_made(DARK),
        CALSTAT=calstat,
        EXPTIME=300.0,
    )
    lane.lights({"light": bias + current * exposure_s / 300 + 400}, EXPTIME=exposure_s)
    assert median(lane) == pytest.approx(400, abs=1)


def test_astrophotography_a_dark_shorter_than_the_frame_is_refused(lane: Lane) -> None:
    lane.master(BIAS, 100)
    lane.master(DARK, 160, EXPTIME=60.0)
    summary = lane.lights({"light": lane.noise(500)})
    assert "60 s is shorter than 300 s" in str(summary.figures["masters_refused"])


def test_astrophotography_a_master_of_another_size_is_refused(lane: Lane) -> None:
    lane.master(DARK, 160, EXPTIME=300.0)
    summary = lane.lights({"light": lane.noise(500)[:32]})
    assert "80 x 64 px is not 80 x 32 px" in str(summary.figures["masters_refused"])
    assert median(lane) == pytest.approx(500, abs=2)


def test_astrophotography_a_dark_of_another_temperature_is_named_inside_a_set(lane: Lane) -> None:
    """There the set stops; here the frame is refused and the others go on."""
    lane.put(
        lane.set_name(DARK, "x"), DARK, {f"d{n}": lane.noise(160) for n in range(4)}, EXPTIME=60.0
    )
    folder = lane.store.raw("far", lane.set_name(DARK, "x"))
    with fits.open(folder / "d3.fits", mode="update") as hdus:
        hdus[0].header["CCD-TEMP"] = 15.0
    summary = make_master(lane.store, "far", lane.set_name(DARK, "x"), DARK, None)
    assert summary.figures["frames"] == 3
    assert "d3" in str(summary.figures["refused"])
    assert "15 °C is not -10 °C" in str(summary.figures["refused"])


def test_astrophotography_dirty_flats_leave_no_silent_holes(lane: Lane) -> None:
    """Where the flat has next to no light there is no data, and the mask says so."""
    lane.master(BIAS, 100)
    light = np.full(SHAPE, 20000.0)
    light[10, 12] = 400.0
    lane.combined(
        FLAT, {f"f{n}": 100 + light + lane.noise(0) for n in range(4)}, EXPTIME=2.0, FILTER="Red"
    )
    lane.lights({"light": lane.noise(500)}, FILTER="Red")
    product = lane.product("light")
    assert product.mask is not None
    assert product.mask[10, 12] & 32
    assert np.isfinite(product.image).all()


def test_astrophotography_nothing_to_combine_is_a_sentence(lane: Lane) -> None:
    with pytest.raises(NothingToDo, match=r"no usable dark frame in .*: the set is empty"):
        lane.combined(DARK, {})


def test_silently_wrong_the_bias_is_never_taken_off_twice(lane: Lane) -> None:
    """A provider's CALSTAT is believed: what is off stays off, the rest is done."""
    lane.master(BIAS, 1000)
    lane.master(DARK, 1060, EXPTIME=300.0)
    flats = {f"f{n}": lane.noise(21000) for n in range(3)}
    lane.combined(FLAT, flats, EXPTIME=2.0, FILTER="Red")
    lane.lights({"light": lane.noise(560)}, CALSTAT="B", FILTER="Red")
    assert median(lane) == pytest.approx(500, abs=2)
    assert lane.product("light").header["CALSTAT"] == "BDF"
    lane.lights({"light": lane.noise(560)}, CALSTAT="BD", FILTER="Red")
    assert median(lane) == pytest.approx(560, abs=2)
    assert lane.product("light").header["CALSTAT"] == "BDF"


def test_master_flat_of_a_simulated_night_has_no_rejected_pixel() -> None:
    s = simulate_session(small_camera(T20, (200, 240)), seed=3, lights=0, flats=6)
    assert np.isfinite(master_flat(s.flats, saturation_adu=65535).image).all()
