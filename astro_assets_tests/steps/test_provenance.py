"""What a product was made from stands in its header, and tells whether it is still right."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from astro_assets import __version__
from astro_assets.sources.kinds import KINDS
from astro_assets.steps import provenance
from astro_assets.steps.recipe import RECIPES
from astro_assets.store import ImageFile, write_image


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_a_fingerprint_tells_all_inputs_apart(one: list[str], two: list[str]) -> None:
    same = provenance.fingerprint(*one) == provenance.fingerprint(*two)
    assert same == (one == two)


@pytest.mark.parametrize(
    ("one", "two"), [(("a\nb",), ("a", "b")), (("a", "b"), ("b", "a")), ((), ("",))]
)
def test_inputs_that_read_alike_are_told_apart(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    assert provenance.fingerprint(*one) != provenance.fingerprint(*two)


def test_a_fingerprint_stays_the_same_from_run_to_run() -> None:
    assert provenance.fingerprint("1", "abc") == "57481b494a9805930ea3d432"


def test_a_product_is_current_only_for_what_it_was_made_from(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    assert not provenance.is_current(path, "abc")
    header = fits.Header()
    provenance.stamp(header, "calibrated", "abc")
    write_image(path, ImageFile(np.ones((3, 3), np.float32), header))
    assert provenance.is_current(path, "abc")
    assert not provenance.is_current(path, "abd")
    written = fits.getheader(path)
    assert written["AAVERS"] == __version__
    assert f"astro-assets {__version__}: calibrated" in str(written["HISTORY"])


@pytest.mark.parametrize("content", [b"", b"no FITS" * 1000])
def test_a_broken_product_is_not_current(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.fits").write_bytes(content)
    assert not provenance.is_current(tmp_path / "a.fits", "abc")


def test_a_product_without_a_stamp_is_not_current(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.ones((3, 3), np.float32)).writeto(tmp_path / "a.fits")
    assert not provenance.is_current(tmp_path / "a.fits", "abc")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dark × 0.5", "dark x 0.5"),
        ("at −10 °C", "at -10 degC"),
        ("FWHM 3.2″ … 4.1″", 'FWHM 3.2" ... 4.1"'),
        ("Galaxie d'Andromède", "Galaxie d'Andromede"),
        ("two\nlines", "two lines"),
        ("天鹅座", "???"),
    ],
)
def test_text_for_headers_stays_readable(text: str, shown: str) -> None:
    assert provenance.fits_text(text) == shown


@given(st.text())
def test_any_text_goes_into_a_header(text: str) -> None:
    header = fits.Header()
    provenance.note(header, text)
    header["OBJECT"] = provenance.fits_text(text)
    header.tostring()


def test_every_kind_of_source_has_a_recipe() -> None:
    assert set(RECIPES) == set(KINDS)
    assert {name for name, recipe in RECIPES.items() if recipe.arrives_calibrated} == {
        "itelescope",
        "telescope_org",
    }
