"""Counts that are read where they lie: the same frame as read whole, or not read so at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.frame import FrameKind
from astro_assets.steps.inputs import RawFrame, open_raw
from astro_assets.steps.recipe import Recipe
from astro_assets.steps.words import counts_in_place
from astro_assets.store import Store
from astro_assets_tests.steps.raw_files import Lane

_CARDS = {"IMAGETYP": "Dark Frame", "INSTRUME": "Cam", "EXPTIME": 60.0, "DATE-OBS": "2026-11-20T20"}


def _raw(path: Path, *hdus: Any, **cards: Any) -> RawFrame:
    everything = fits.HDUList(list(hdus))
    everything[0].header.update(_CARDS | cards)
    everything.writeto(path)
    return RawFrame(path.stem, path, "sha", {})


def _counts(shape: tuple[int, int] = (37, 21)) -> np.ndarray[Any, np.dtype[np.uint16]]:
    counts = np.random.default_rng(1).integers(0, 65536, shape).astype(np.uint16)
    counts[0, :3] = (0, 32768, 65535)
    return counts


def test_the_frame_is_the_one_that_is_read_whole(tmp_path: Path) -> None:
    counts = _counts()
    raw = _raw(tmp_path / "a.fits", fits.PrimaryHDU(counts))
    found = counts_in_place(raw, Recipe())
    assert found is not None
    words, frame = found
    np.testing.assert_array_equal(words[:], counts)
    np.testing.assert_array_equal(words[5:9], counts[5:9])
    np.testing.assert_array_equal(words[30:99], counts[30:])
    assert words[5:5].shape == (0, 21)
    whole = open_raw(raw)
    assert frame.frame == whole.frame
    assert fits.HeaderDiff(frame.header, whole.header).identical


_OTHERS: dict[str, Callable[[Path], RawFrame]] = {
    "real numbers": lambda p: _raw(p, fits.PrimaryHDU(_counts().astype(np.float32))),
    "signed": lambda p: _raw(p, fits.PrimaryHDU(_counts().astype(np.int16))),
    "a cube": lambda p: _raw(p, fits.PrimaryHDU(_counts()[None])),
    "two images": lambda p: _raw(p, fits.PrimaryHDU(_counts()), fits.ImageHDU(_counts())),
    "an overscan": lambda p: _raw(p, fits.PrimaryHDU(_counts()), BIASSEC="[1:2,1:37]"),
    "a pedestal": lambda p: _raw(p, fits.PrimaryHDU(_counts()), PEDESTAL=-100),
    "a blank value": lambda p: _raw(p, fits.PrimaryHDU(_counts()), BLANK=0),
}


@pytest.mark.filterwarnings("ignore:Invalid 'BLANK'")
@pytest.mark.parametrize("kind", _OTHERS)
def test_another_file_is_left_to_others(tmp_path: Path, kind: str) -> None:
    assert counts_in_place(_OTHERS[kind](tmp_path / "a.fits"), Recipe()) is None


def test_a_file_without_its_end_or_packed_is_left_to_others(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "a.fits", fits.PrimaryHDU(_counts()))
    _raw(tmp_path / "b.fits.gz", fits.PrimaryHDU(_counts()))
    packed = RawFrame("b", tmp_path / "b.fits.gz", "sha", {})
    raw.path.write_bytes(raw.path.read_bytes()[:-2880])
    assert counts_in_place(raw, Recipe()) is None
    assert counts_in_place(packed, Recipe()) is None
    assert counts_in_place(RawFrame("a", raw.path, "sha", {}), Recipe(overscan_top_px=1)) is None


def test_a_master_is_the_same_however_its_frames_were_written(tmp_path: Path) -> None:
    """As counts or as real numbers: one and the same dark."""
    images = []
    for form in (np.uint16, np.float32):
        lane = Lane(Store(tmp_path / str(np.dtype(form))))
        frames = {f"d{n}": np.rint(lane.noise(400)).astype(form) for n in range(5)}
        lane.combined(FrameKind.DARK, frames, EXPTIME=60.0)
        images.append(lane.master_file(FrameKind.DARK).image)
    np.testing.assert_array_equal(*images)
