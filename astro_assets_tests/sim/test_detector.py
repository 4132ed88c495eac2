"""Does the simulated detector obey its numbers, and does each switch switch?"""

from dataclasses import replace

import numpy as np
import pytest

from astro_assets.sim.cameras import ASI, M_42, T20
from astro_assets.sim.conditions import Incidents, run_of
from astro_assets.sim.defects import Defects
from astro_assets.sim.detector import Detector, make_detector
from astro_assets.sim.exposure import expose
from astro_assets.sim.session import simulate_session, small_camera

CAMERA = small_camera()
NOTHING = Defects.none()


def detector(*switches: str, seed: int = 1) -> Detector:
    return make_detector(CAMERA, NOTHING.with_only(*switches), seed=seed)


def rng(number: int = 0) -> np.random.Generator:
    return np.random.default_rng([11, number])


@pytest.mark.parametrize("level_e", [20.0, 400.0, 30000.0])
def test_photon_transfer(level_e: float) -> None:
    """Variance is mean / gain + (read noise / gain)², in counts."""
    noisy = detector("shot_noise", "read_noise")
    counts = noisy.read_out(np.full(CAMERA.shape, level_e, np.float32), 0.0, rng())
    signal = counts.astype(float) - CAMERA.bias_adu
    gain, read_noise = CAMERA.gain_e_per_adu, CAMERA.read_noise_e
    assert signal.mean() * gain == pytest.approx(level_e, rel=0.005)
    expected = (level_e + read_noise**2) / gain**2 + 1 / 12
    assert signal.var() == pytest.approx(expected, rel=0.015)


def test_read_noise_alone() -> None:
    bias = detector("read_noise").bias_frame(rng()).astype(float)
    assert bias.std() * CAMERA.gain_e_per_adu == pytest.approx(CAMERA.read_noise_e, rel=0.01)
    assert np.ptp(detector().bias_frame(rng())) == 0


def test_a_perfect_detector_changes_nothing() -> None:
    light = np.linspace(0, 50000, CAMERA.shape[0] * CAMERA.shape[1]).reshape(CAMERA.shape)
    counts = detector().read_out(light, 100.0, rng())
    back = (counts.astype(float) - CAMERA.bias_adu) * CAMERA.gain_e_per_adu
    assert np.abs(back - light).max() <= CAMERA.gain_e_per_adu / 2 + 0.01


def test_bias_has_a_pattern() -> None:
    assert 0.5 < detector("bias").bias_adu.std() < 5
    assert np.ptp(detector().bias_adu) == 0


def test_dark_current_grows_with_time() -> None:
    dark = detector("dark_current")
    assert np.median(dark.dark_e_per_s) == pytest.approx(CAMERA.dark_e_per_s, rel=0.05)
    long, short = (dark.dark_frame(t, rng()).astype(float) - CAMERA.bias_adu for t in (4000, 400))
    assert long.mean() / short.mean() == pytest.approx(10, rel=0.02)
    assert detector().dark_e_per_s.max() == 0


def test_hot_pixels_are_where_the_truth_says() -> None:
    hot = detector("hot_pixels", "read_noise", "shot_noise")
    frame = hot.dark_frame(CAMERA.exposure_s, rng()).astype(float) - CAMERA.bias_adu
    assert 100 < hot.hot.sum() < 300
    assert np.array_equal(frame > 12 * CAMERA.read_noise_e / CAMERA.gain_e_per_adu, hot.hot)
    assert not detector().hot.any()


def test_dead_pixels_are_where_the_truth_says() -> None:
    dead = detector("dead_pixels")
    assert np.array_equal(dead.flat_frame(1.0, 1.0, rng()) < 6000, dead.dead)
    assert 30 < dead.dead.sum() < 100
    assert not detector().dead.any()


def test_bad_columns_show_in_darks_and_flats() -> None:
    bad = detector("bad_columns")
    columns = list(bad.columns)
    assert len(columns) == CAMERA.bad_columns
    good = np.delete(np.arange(CAMERA.shape[1]), columns)
    dark = np.median(bad.dark_frame(CAMERA.exposure_s, rng()).astype(float), axis=0)
    flat = np.median(bad.flat_frame(1.0, 1.0, rng()).astype(float), axis=0)
    assert dark[columns].min() > dark[good].max() + 50
    assert flat[columns].max() < 0.8 * flat[good].min()
    assert detector().columns == ()


def test_vignetting_dust_and_pixel_response_make_the_flat() -> None:
    vignetted = detector("vignetting").flat
    corners = [vignetted[0, 0], vignetted[0, -1], vignetted[-1, 0], vignetted[-1, -1]]
    assert np.mean(corners) / vignetted.max() == pytest.approx(1 - CAMERA.vignetting, abs=0.02)
    dust = detector("dust").flat
    assert 0.85 < dust.min() < 0.985
    assert np.median(dust) == pytest.approx(1)
    assert (dust < 0.985).mean() < 0.1
    response = detector("pixel_response").flat
    assert response.std() == pytest.approx(CAMERA.response_rms, rel=0.05)
    assert np.ptp(detector().flat) == 0


def test_saturation() -> None:
    light = np.full(CAMERA.shape, 1e6, np.float32)
    full = detector("saturation").read_out(light, 0.0, rng())
    assert full.dtype == np.uint16
    assert full.min() == full.max() == CAMERA.saturation_adu
    free = detector().read_out(light, 0.0, rng())
    assert free.dtype == np.uint32
    assert free.mean() == pytest.approx(1e6 / CAMERA.gain_e_per_adu + CAMERA.bias_adu, rel=1e-3)


def test_a_provider_s_correction_gives_the_light_back() -> None:
    faulty = make_detector(CAMERA, Defects(), seed=2)
    light = np.full(CAMERA.shape, 5000.0, np.float32)
    corrected = faulty.corrected(faulty.read_out(light, 180.0, rng()), 180.0)
    good = ~(faulty.dead | faulty.hot)
    assert np.median(corrected[good]) * CAMERA.gain_e_per_adu == pytest.approx(5000, rel=0.002)
    assert np.abs(np.median(corrected, axis=0)[list(faulty.columns)] * 1.4 / 5000 - 1).max() < 0.02


def test_flats_of_a_colour_camera_show_the_lamp_s_colour() -> None:
    camera = small_camera(ASI, (360, 480))
    lamp = make_detector(camera, NOTHING, seed=1).flat_frame(1.0, 1.0, rng())
    cells = [float(np.median(lamp[row::2, column::2])) for row in (0, 1) for column in (0, 1)]
    assert cells[1] == cells[2] > 1.3 * cells[0] > 1.3 * cells[3] * 1.1


def test_the_same_seed_gives_the_same_detector_and_another_another() -> None:
    first, again, other = (make_detector(CAMERA, Defects(), seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(first.flat, again.flat)
    assert np.array_equal(first.hot, again.hot)
    assert not np.array_equal(first.hot, other.hot)
    assert first.columns != other.columns


def exposure(defects: Defects):  # type: ignore[no-untyped-def]
    camera = small_camera(ASI, (360, 480))
    run = run_of(camera, M_42, 2, Incidents(satellite=(1,)), defects, seed=7)
    return expose(
        make_detector(camera, defects, seed=7), M_42, run[1], channel=None, seed=7, frame_number=1
    )


def test_cosmic_rays_and_satellite_are_where_the_truth_says() -> None:
    defects = NOTHING.with_only("cosmic_rays", "satellite", "shot_noise", "saturation")
    shown = exposure(defects)
    camera = small_camera(ASI, (360, 480))
    level = (shown.counts_adu.astype(float) - camera.bias_adu) * camera.gain_e_per_adu
    excess = level - shown.image_e
    quiet = shown.image_e < 200
    assert 1 <= shown.cosmic_rays.sum() < 60
    assert excess[shown.cosmic_rays & quiet].min() > 300
    row = np.argwhere(shown.satellite[:, 240])[:, 0]
    assert 5 < len(row) < 25
    assert excess[int(row.mean()), 235:245].mean() > 100
    rest = excess[quiet & ~shown.satellite & ~shown.cosmic_rays]
    assert np.abs(np.median(rest)) < 1
    assert np.abs(rest).max() < 120
    clean = exposure(NOTHING)
    assert not clean.cosmic_rays.any()
    assert not clean.satellite.any()
    assert clean.conditions.satellite is None


def test_a_session_holds_what_was_asked_for() -> None:
    session = simulate_session(seed=3, lights=3, bias=4, darks=2, flats=3)
    lengths = [len(k) for k in (session.lights, session.bias, session.darks, session.flats)]
    assert lengths == [3, 4, 2, 3]
    light = session.lights[0]
    assert len(light.stars) >= 40
    det, camera = session.detector, session.camera
    expected = light.image_e * det.flat + det.dark_e_per_s * camera.exposure_s
    expected_adu = expected / camera.gain_e_per_adu + det.bias_adu
    usable = ~light.cosmic_rays & (expected_adu < 60000)
    sigma = np.sqrt(expected + camera.read_noise_e**2) / camera.gain_e_per_adu
    pull = (light.counts_adu - expected_adu)[usable] / sigma[usable]
    assert pull.mean() == pytest.approx(0, abs=0.01)
    assert pull.std() == pytest.approx(1, abs=0.01)
    assert not np.array_equal(session.bias[0], session.bias[1])


def test_the_same_seed_gives_the_same_session_and_another_another() -> None:
    first, again, other = (simulate_session(seed=s, lights=1, bias=1) for s in (3, 3, 4))
    assert np.array_equal(first.lights[0].counts_adu, again.lights[0].counts_adu)
    assert np.array_equal(first.bias[0], again.bias[0])
    assert not np.array_equal(first.lights[0].counts_adu, other.lights[0].counts_adu)


def test_t20_stars_run_from_faint_to_saturated() -> None:
    light = simulate_session(seed=1, lights=1).lights[0]
    aperture_px = np.pi * (1.5 * light.conditions.psf.fwhm_px) ** 2
    noise = np.sqrt(light.stars["flux_e"] + aperture_px * (light.sky_e + T20.read_noise_e**2))
    assert ((light.stars["flux_e"] / noise) > 30).sum() >= 60
    assert (light.counts_adu == T20.saturation_adu).sum() >= 3
    fewer = simulate_session(seed=1, lights=1, defects=replace(Defects(), saturation=False)).lights[
        0
    ]
    assert fewer.counts_adu.max() > T20.saturation_adu
