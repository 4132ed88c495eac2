"""Masters against the simulated detector's truth, and the inputs that are refused."""

import math

import numpy as np
import pytest

from astro_assets.errors import NothingToDo, Unusable
from astro_assets.imaging.bayer import colour_planes
from astro_assets.imaging.fit_inputs import fit_levels
from astro_assets.imaging.masters import master_bias, master_dark, master_flat
from astro_assets.sim.cameras import ASI, T20
from astro_assets.sim.session import simulate_session, small_camera

SHAPE = (300, 400)
N = 10


def session(camera=T20, seed=1):
    return simulate_session(
        small_camera(camera, SHAPE), seed=seed, lights=0, bias=N, darks=N, flats=N
    )


def good_pixels(detector):
    good = ~(detector.hot | detector.dead)
    good[:, list(detector.columns)] = False
    return good


def masters_of(s):
    bias = master_bias(s.bias)
    dark = master_dark(s.darks, s.camera.exposure_s, bias.image)
    flat = master_flat(
        s.flats,
        bias=bias.image,
        dark=dark.image,
        dark_exposure_s=s.camera.exposure_s,
        exposures_s=[s.flat_exposure_s] * len(s.flats),
        bayer=s.camera.bayer is not None,
        saturation_adu=65000,
    )
    return bias, dark, flat


@pytest.mark.parametrize("seed", [1, 2])
def test_bias_and_read_noise(seed):
    s = session(seed=seed)
    truth_adu = s.camera.read_noise_e / s.camera.gain_e_per_adu
    bias = master_bias(s.bias)
    residual = (bias.image - s.detector.bias_adu)[good_pixels(s.detector)]
    assert abs(residual.mean()) < 0.03
    assert residual.std() <= 1.03 * truth_adu / math.sqrt(N)
    assert abs(bias.read_noise_adu / truth_adu - 1) < 0.01
    assert abs(bias.read_noise_adu - truth_adu) < 5 * bias.read_noise_error
    assert (bias.n_inputs, bias.rejected_inputs) == (N, [])


def test_dark_is_free_of_bias():
    s = session()
    bias, dark, _ = masters_of(s)
    truth_adu = s.detector.dark_e_per_s * s.camera.exposure_s / s.camera.gain_e_per_adu
    residual = (dark.image - truth_adu)[good_pixels(s.detector)]
    assert abs(np.median(residual)) < 0.15
    with_bias = master_dark(s.darks, s.camera.exposure_s)
    np.testing.assert_allclose(with_bias.image - bias.image, dark.image, atol=1e-3)


@pytest.mark.parametrize("camera", [T20, ASI])
def test_flat_is_the_detectors(camera):
    s = session(camera)
    _, _, flat = masters_of(s)
    good = good_pixels(s.detector)
    ratio = np.where(good, flat.image / s.detector.flat, np.nan)
    for plane in colour_planes(ratio):
        residual = plane / np.nanmedian(plane) - 1
        assert np.nanstd(residual) < 0.005
    if camera.bayer is not None:
        for plane in colour_planes(flat.image):
            assert abs(np.median(plane) - 1) < 1e-4


def test_flat_levels_may_differ():
    """Twilight: without scaling to one level the clip would take the extreme frames away."""
    rng = np.random.default_rng(3)
    truth = rng.normal(1, 0.02, SHAPE)
    levels = [8000, 12000, 18000, 26000, 30000]
    frames = [np.rint(500 + rng.poisson(level * truth)).astype(np.uint16) for level in levels]
    flat = master_flat(frames, bias=np.full(SHAPE, 500, np.float32))
    residual = flat.image / (truth / np.median(truth)) - 1
    assert residual.std() < 1.05 / math.sqrt(sum(levels))
    assert flat.count.mean() > 0.99 * len(levels)


def test_flat_keeps_stars_out():
    rng = np.random.default_rng(4)
    frames = [rng.normal(20000, 140, SHAPE).astype(np.float32) for _ in range(7)]
    frames[2][100:104, 200:204] += 8000
    flat = master_flat(frames)
    assert np.abs(flat.image[100:104, 200:204] - 1).max() < 0.02


def test_bayer_flat_under_changing_colour():
    """From frame to frame the twilight turns blue; the flat stays the detector's."""
    rng = np.random.default_rng(5)
    truth = rng.normal(1, 0.01, SHAPE)
    frames = []
    for blue in (0.3, 0.5, 0.8, 1.0, 1.2):
        light = 20000 * truth
        light[1::2, 1::2] *= blue
        frames.append(rng.poisson(light).astype(np.uint16))
    flat = master_flat(frames, bayer=True)
    for plane, true_plane in zip(colour_planes(flat.image), colour_planes(truth), strict=True):
        assert np.std(plane / true_plane) < 0.006
    assert flat.count.mean() > 4.9


def test_refused_inputs_are_named_and_the_others_go_on():
    rng = np.random.default_rng(6)
    flats = [rng.normal(20000, 140, SHAPE) for _ in range(4)]
    flats += [np.full(SHAPE, 65535.0), rng.normal(900, 30, SHAPE), np.zeros((10, 10))]
    flat = master_flat([np.rint(f).astype(np.uint16) for f in flats], saturation_adu=65000)
    assert flat.n_inputs == 4
    reasons = dict(flat.rejected_inputs)
    assert "saturated" in reasons[4]
    assert "900 ADU" in reasons[5]
    assert "10 × 10" in reasons[6]

    bias = [rng.normal(300, 5, SHAPE) for _ in range(5)]
    bias[1] += 400
    bias.append(np.full(SHAPE, np.nan))
    master = master_bias(bias)
    assert [index for index, _ in master.rejected_inputs] == [1, 5]
    assert "700 ADU" in master.rejected_inputs[0][1]
    assert abs(master.image.mean() - 300) < 0.1


@pytest.mark.parametrize("noise", [0.2, 6.0])
def test_counts_and_the_same_numbers_are_fit_alike(noise):
    """Around the limit, five times the noise."""
    rng = np.random.default_rng(3)
    off = np.concatenate([np.zeros(30), np.linspace(4, 6, 11) * max(noise, 1.0)])
    frames = [np.rint(rng.normal(1000 + o, noise, (70, 131))).astype(np.uint16) for o in off]
    found = fit_levels(frames)
    assert found == fit_levels([frame.astype(np.float32) for frame in frames])
    assert 0 < len(found[1]) < 11


def test_single_frames_and_pairs():
    frame = np.random.default_rng(7).normal(300, 5, SHAPE).astype(np.float32)
    single = master_bias([frame])
    assert single.read_noise_adu is None
    np.testing.assert_array_equal(single.image, frame)
    pair = master_bias([frame, frame + 1000])
    assert pair.n_inputs == 1
    np.testing.assert_array_equal(pair.image, frame)


def test_refusals():
    frame = np.full(SHAPE, 300.0)
    with pytest.raises(NothingToDo):
        master_bias([])
    with pytest.raises(Unusable, match="same camera"):
        master_dark([frame], 10.0, bias=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="above 0 s"):
        master_dark([frame], 0.0)
    with pytest.raises(Unusable, match="none of the 2 flats"):
        master_flat([frame, frame], bias=frame)
