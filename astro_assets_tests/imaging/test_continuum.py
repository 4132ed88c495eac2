from dataclasses import replace

import numpy as np
import pytest

from astro_assets.errors import Unusable
from astro_assets.imaging.continuum import Band, line_emission
from astro_assets.imaging.filters import continuum_of
from astro_assets.imaging.mask import MaskBit
from astro_assets_tests.imaging.narrow_band import Scene, left_of_stars, scene

SEEINGS = [(2.6, 3.8, 0.0), (4.0, 2.8, 0.0), (3.0, 2.6, 4.0)]
"""FWHM of the narrow and the broad band, and a trail in the latter"""
BRIGHT_E = 8000.0


def bright_left(image: np.ndarray, truth: Scene) -> np.ndarray:
    left = left_of_stars(image, truth, 8.0)
    return left[truth.flux_e[~truth.saturated] > BRIGHT_E]


def around(truth: Scene, which: np.ndarray, radius_px: float = 20.0) -> np.ndarray:
    """Pixels near those stars."""
    v, u = np.mgrid[: truth.nebula.shape[0], : truth.nebula.shape[1]]
    near = np.zeros(truth.nebula.shape, bool)
    for x, y in zip(truth.x[which], truth.y[which], strict=True):
        near |= np.hypot(u - x, v - y) < radius_px
    return near


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("narrow_px", "broad_px", "trail_px"), SEEINGS)
def test_stars_go_and_the_nebula_stays_whatever_the_seeing(
    seed: int, narrow_px: float, broad_px: float, trail_px: float
):
    truth = scene(
        seed, narrow_fwhm_px=narrow_px, broad_fwhm_px=broad_px, trail_px=trail_px, line_in_broad=1.0
    )
    result = line_emission(truth.narrow, truth.broad, 1.0)
    assert result.convolved
    assert result.scale.value == pytest.approx(truth.scale, rel=0.02)
    assert abs(result.scale.value - truth.scale) < 5 * result.scale.error
    left = bright_left(result.image, truth)
    # The stars' own colours differ by 1 % here, so that single stars keep as much either way.
    assert abs(left.mean()) < 0.015
    assert np.median(np.abs(left)) < 0.02
    glow = (truth.nebula > 3) & ~around(truth, truth.saturated)
    kept = np.nansum(np.where(glow, result.image, 0)) / truth.nebula[glow].sum()
    assert kept == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stars_of_one_colour_vanish_in_their_pixels_too(seed: int):
    truth = scene(seed, narrow_fwhm_px=2.6, broad_fwhm_px=3.8, colour_scatter=0.0)
    matched = line_emission(truth.narrow, truth.broad)
    left = bright_left(matched.image, truth)
    assert np.median(np.abs(left)) < 0.012
    core = matched.image[np.rint(truth.y).astype(int), np.rint(truth.x).astype(int)]
    before = truth.narrow.image[np.rint(truth.y).astype(int), np.rint(truth.x).astype(int)]
    bright = (truth.flux_e > BRIGHT_E) & ~truth.saturated
    nebula = truth.nebula[np.rint(truth.y).astype(int), np.rint(truth.x).astype(int)]
    assert np.median(np.abs(core - nebula)[bright] / before[bright]) < 0.05


def test_the_noise_is_what_the_weight_says():
    truth = scene(7, narrow_fwhm_px=2.6, broad_fwhm_px=3.8, n_stars=20, nebula_e=0.0)
    result = line_emission(truth.narrow, truth.broad)
    v, u = np.mgrid[: result.image.shape[0], : result.image.shape[1]]
    far = (u > 10) & (v > 10) & (u < u.max() - 10) & (v < v.max() - 10)
    for x, y in zip(truth.x, truth.y, strict=True):
        far &= np.hypot(u - x, v - y) > 20
    assert (result.image * np.sqrt(result.weight))[far].std() == pytest.approx(1, abs=0.04)


def test_masks_travel_and_holes_stay_holes():
    truth = scene(8, narrow_fwhm_px=2.6, broad_fwhm_px=3.8)
    narrow, broad = truth.narrow, truth.broad
    image, mask, weight = broad.image.copy(), broad.mask.copy(), broad.weight.copy()
    image[:, :60] = np.nan
    weight[:, :60] = 0
    mask[:, :60] = MaskBit.NO_DATA
    mask[200, 300] |= np.uint8(MaskBit.SATURATED)
    rays = narrow.mask.copy()
    rays[100, 400] = MaskBit.COSMIC_RAY
    result = line_emission(replace(narrow, mask=rays), Band(image, mask, weight))
    assert np.isnan(result.image[:, :58]).all()
    assert (result.mask[:, :58] & MaskBit.NO_DATA).all()
    assert (result.weight[:, :58] == 0).all()
    assert result.mask[200, 300] & MaskBit.SATURATED
    assert result.mask[100, 400] & MaskBit.COSMIC_RAY
    assert np.isfinite(result.image[100, 400])  # the kernel's other pixels stand in
    assert np.isfinite(result.image[10:-10, 75:-10]).all()
    assert abs(bright_left(result.image[:, 75:], shifted(truth, 75)).mean()) < 0.015


def shifted(truth: Scene, columns: int) -> Scene:
    inside = truth.x > columns + 10
    return replace(
        truth,
        x=truth.x[inside] - columns,
        y=truth.y[inside],
        flux_e=truth.flux_e[inside],
        saturated=truth.saturated[inside],
        nebula=truth.nebula[:, columns:],
    )


def test_what_the_broad_band_holds_of_the_line_is_given_back():
    truth = scene(9, line_in_broad=1.0, scale=0.3)
    glow = (truth.nebula > 3) & ~around(truth, truth.saturated)
    kept = {
        share: np.nansum(np.where(glow, line_emission(truth.narrow, truth.broad, share).image, 0))
        / truth.nebula[glow].sum()
        for share in (0.0, 1.0)
    }
    assert kept[0.0] == pytest.approx(0.7, abs=0.02)
    assert kept[1.0] == pytest.approx(1.0, abs=0.03)


def test_a_broad_band_that_takes_most_of_the_line_is_refused():
    truth = scene(9, line_in_broad=2.0, scale=0.3)
    with pytest.raises(Unusable, match="more than half of the line"):
        line_emission(truth.narrow, truth.broad, 2.0)


@pytest.mark.parametrize("stars", [0, 3])
def test_too_few_stars_are_told(stars: int):
    truth = scene(10, n_stars=stars)
    with pytest.raises(Unusable, match=r"only \d stars show in both bands"):
        line_emission(truth.narrow, truth.broad)


def test_all_saturated_or_all_holes_is_told():
    truth = scene(11, shape=(120, 140), n_stars=4)
    full = replace(truth.broad, mask=np.full((120, 140), MaskBit.SATURATED, np.uint8))
    none = replace(truth.narrow, image=np.full((120, 140), np.nan, np.float32))
    with pytest.raises(Unusable):
        line_emission(truth.narrow, full)
    with pytest.raises(Unusable):
        line_emission(none, truth.broad)


def test_bands_of_different_shapes_are_refused():
    truth = scene(12, shape=(120, 140), n_stars=4)
    cut = Band(truth.broad.image[:100], truth.broad.mask[:100], truth.broad.weight[:100])
    with pytest.raises(ValueError, match="differ in shape"):
        line_emission(truth.narrow, cut)


def test_each_line_has_its_broad_bands():
    assert continuum_of("Ha", ["L", "B", "R"]) == "R"
    assert continuum_of("OIII", ["R", "V", "L"]) == "V"
    assert continuum_of("SII", ["B", "G"]) is None
