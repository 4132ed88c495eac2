"""Grids of one's own in the settings."""

from pathlib import Path

import pytest

from astro_assets.errors import SettingsError
from astro_assets.settings import load_settings
from astro_assets.settings.grids import wish_for

_HEAD = """
root = "data"
[site]
name = "Roof"
latitude_deg = 53.2
longitude_deg = 6.6
"""


def load(folder: Path, text: str):
    (folder / "observatory.toml").write_text(_HEAD + text, encoding="utf-8")
    return load_settings(folder / "observatory.toml")


def test_each_target_has_its_own_and_the_others_share_one(tmp_path: Path):
    settings = load(
        tmp_path,
        '[[grids]]\nscale_arcsec = 2\n[[grids]]\ntarget = "M 31"\nlike = "m31.fits"\n',
    )
    m31, other = wish_for("M31", settings.grids), wish_for("M42", settings.grids)
    assert m31 is not None
    assert m31.like == tmp_path / "m31.fits", "relative to the settings file"
    assert other is not None
    assert other.scale_arcsec == 2
    assert wish_for("M31", ()) is None


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("scal_arcsec = 1", "did you mean 'scale_arcsec'"),
        ('scale_arcsec = 1\nlike = "a.fits"', "no other key but target beside it"),
        ("centre_deg = [400, 1]", "less than 360"),
        ("size_px = [0, 10]", "size_px"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, lines: str, words: str):
    with pytest.raises(SettingsError, match=words):
        load(tmp_path, f"[[grids]]\n{lines}\n")
