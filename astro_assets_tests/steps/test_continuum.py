"""Narrow bands without continuum as a product of stacks and composites."""

from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS
from PIL import Image

from astro_assets.defs.results import materialized
from astro_assets.imaging.stars import find_stars
from astro_assets.steps.continuum import write_lines
from astro_assets.steps.inventory import LINES_FOLDER, STACK_STATE
from astro_assets.steps.report import write_report
from astro_assets.steps.summary import Summary
from astro_assets.store import Store, read_image, write_json
from astro_assets_tests.steps.stacked import SHAPE, exposed, stars_in_field, write_stack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ha with a nebula and twice the exposure; the nebula's line shows in red, too."""
    folder = tmp_path_factory.mktemp("stack")
    stars, x, y = stars_in_field(1)
    flux_e = 2e5 * 10 ** (-0.4 * (stars.vt_mag - 9))
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    glow = 300 * np.exp(-(((u - 300) / 50) ** 2) - ((v - 200) / 40) ** 2)
    red = exposed(1, flux_e, x, y, fwhm_px=3.3, more_e=glow / 2)
    write_stack(folder, "Red", red, exposure_s=60, saturated=red > 50_000)
    write_stack(folder, "Ha", exposed(1, 0.1 * flux_e, x, y, more_e=glow), exposure_s=120)
    write_stack(folder, "OIII", exposed(1, 0.1 * flux_e, x, y), exposure_s=120)
    return folder


def test_the_line_is_a_product_with_picture_header_and_figures(folder: Path):
    lines = write_lines(folder, "M 45", "abc")
    file = read_image(folder / LINES_FOLDER / "Ha.fits")
    assert file.image.shape == SHAPE
    assert file.mask is not None
    assert file.header["AACONT"] == "Red"
    assert file.header["AACSCALE"] == pytest.approx(0.1, rel=0.02)
    assert file.header["AACSTARS"] >= 20
    assert file.header["AACCONV"] == "narrow"
    assert file.header["AACKEPT"] == pytest.approx(0.95, abs=0.002)
    assert file.header["AAPROV"] == "abc"
    here, there = WCS(file.header), WCS(read_image(folder / "Ha.fits").header)
    np.testing.assert_allclose(here.wcs_pix2world(9, 9, 0), there.wcs_pix2world(9, 9, 0))
    assert file.image[200, 300] == pytest.approx(300, rel=0.1)
    before = find_stars(read_image(folder / "Ha.fits").image, file.mask)
    after = find_stars(file.image, file.mask)
    assert len(after) < 0.2 * len(before)
    assert "less 0.1" in str(lines.figures["line_Ha"])
    assert lines.pictures_png["line_Ha"].startswith(b"\x89PNG")
    with Image.open(folder / LINES_FOLDER / "Ha.png") as picture:
        assert picture.size == SHAPE[::-1]
        assert "Ha without continuum" in picture.text["Title"]


def test_a_line_without_its_broad_band_is_told_and_leaves_no_file(folder: Path):
    lines = write_lines(folder, "M 45", "abc")
    told = str(lines.figures["line_OIII"])
    assert told.startswith("not made")
    assert "G, V, SDSS G or L" in told
    assert not (folder / LINES_FOLDER / "OIII.fits").exists()


def test_what_can_no_longer_be_done_leaves_nothing_stale(tmp_path: Path):
    empty = np.random.default_rng(2).normal(100, 5, SHAPE).astype(np.float32)
    write_stack(tmp_path, "Ha", empty)
    write_stack(tmp_path, "Red", empty)
    stale = tmp_path / LINES_FOLDER / "Ha.fits"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    lines = write_lines(tmp_path, "M 45", "abc")
    assert "only 0 stars show in both bands" in str(lines.figures["line_Ha"])
    assert not stale.exists()


def test_no_narrow_band_is_no_matter(tmp_path: Path):
    write_stack(tmp_path, "Red", np.ones(SHAPE, np.float32))
    assert write_lines(tmp_path, "M 45", "abc").figures == {}


def test_the_report_and_the_asset_show_the_line_or_say_why_not(tmp_path: Path):
    store = Store(tmp_path)
    folder = store.stacks("pi", "2026-11-20_M45_T20")
    picture = folder / LINES_FOLDER / "Ha.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"png")
    told = {"line_Ha": "less 0.1 × Red", "line_OIII": "not made: its continuum takes a stack in G"}
    state = {"source": "pi", "session": "2026-11-20_M45_T20", "night": "2026-11-20"}
    write_json(
        folder / STACK_STATE,
        {**state, "target": "M45", "frames": 0, "filters": ["Ha"], "lines": told, "digest": "abc"},
    )
    page = write_report(store, "2026-11-20").path.read_text(encoding="utf-8")
    assert "less 0.1 × Red" in page
    assert f"{LINES_FOLDER}/Ha.png" in page
    assert "not made: its continuum takes a stack in G" in page
    summary = Summary(told, "abc", folder, more_pictures_png={"line_Ha": b"png"})
    metadata = materialized(summary).metadata or {}
    assert "data:image/png;base64" in str(metadata["picture_line_Ha"].value)
    assert metadata["line_OIII"].value == told["line_OIII"]
