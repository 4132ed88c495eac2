"""The YAML of bad pixels: as people write it, as it is written here, and the map it goes into."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.errors import BrokenFile, NothingToDo
from astro_assets.imaging.bad_list import BadList, as_mask
from astro_assets.imaging.mask import MaskBit
from astro_assets.steps.bad_list_file import read_bad_list, write_bad_list
from astro_assets.steps.bad_pixels import make_bad_pixel_map
from astro_assets.store import ImageFile, Store, read_image, write_image

SHAPE = (120, 150)
CAMERA = "Roof_bin1"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.yaml"
    path.write_text(text)
    return path


def test_the_format(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "# T20, binning 1\nbad_columns: [12, 480]\nbad_rows:\n  - 7\n"
        "bad_rectangles: [[1, 20, 5, 5],\n                 [30, 31, 40, 44]]\n",
    )
    read = read_bad_list(path)
    assert read.listed == BadList((12, 480), (7,), ((1, 20, 5, 5), (30, 31, 40, 44)))
    assert read.unusable == ()


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "bad_columns: []\n", "bad_rows:\n", "---\nbad_rectangles: []"]
)
def test_missing_and_empty_keys_list_nothing(tmp_path: Path, text: str) -> None:
    """AstroPhotography crashes on a missing key."""
    read = read_bad_list(written(tmp_path, text))
    assert read.listed == BadList()
    assert read.unusable == ()


def test_what_cannot_be_used_is_told_and_the_rest_is_used(tmp_path: Path) -> None:
    text = (
        "bad_column: [3]\nbad_columns: [4, five, 6.5, true, 8]\nbad_rows: 9\n"
        "bad_rectangles: [[1, 2, 3], [1, 2, 3, x], [1, 2, 3, 4]]\n"
    )
    read = read_bad_list(written(tmp_path, text))
    assert read.listed == BadList((4, 8), (9,), ((1, 2, 3, 4),))
    assert len(read.unusable) == 6
    assert "bad_column is no key" in read.unusable[0]


@pytest.mark.parametrize("text", ["bad_columns: [1, 2", "- 1\n- 2\n", "\x00", "a: &a [*a", "7"])
def test_what_is_no_such_file_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BrokenFile, match=r"list\.yaml"):
        read_bad_list(path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    for listed in (BadList(), BadList((1, 2), (3,), ((4, 5, 6, 7), (8, 8, 9, 9)))):
        write_bad_list(tmp_path / "a.yaml", listed, ("a remark: with a colon", "another"))
        assert read_bad_list(tmp_path / "a.yaml").listed == listed


# The map


def master(store: Store, kind: str, image: np.ndarray, night: str = "2026-11-20") -> None:
    header = fits.Header(
        {"AAKIND": kind, "AACAMERA": CAMERA, "AANIGHT": night, "AAPROV": f"{kind} {night}"}
    )
    header["EXPTIME"] = 60.0
    path = store.master("roof", kind, f"{night}_{kind}")
    write_image(path, ImageFile(image=image.astype(np.float32), header=header))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    dark = np.random.default_rng(1).normal(300, 2, SHAPE)
    dark[50, 60] += 500
    dark[:, 100] += 20
    master(store, "dark", dark)
    return store


def listed(store: Store, text: str) -> Path:
    path = store.user_bad_pixels("roof", CAMERA)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def bits(store: Store) -> np.ndarray:
    return read_image(store.master("roof", "bad_pixels", CAMERA)).image.astype(np.uint8)


def test_bits_are_or_ed(store: Store) -> None:
    """In AstroPhotography a row that crosses a column gives a third value."""
    listed(store, "bad_columns: [101, 31]\nbad_rows: [11]\n")
    summary = make_bad_pixel_map(store, "roof", CAMERA)
    found = bits(store)
    assert found[50, 60] == MaskBit.BAD
    assert found[20, 100] == MaskBit.BAD | MaskBit.USER
    assert found[10, 30] == found[10, 5] == found[5, 30] == MaskBit.USER
    assert set(np.unique(found)) == {0, 1, 2, 3}
    assert summary.figures["listed_by_the_user"] == 2 * 120 + 150 - 2
    assert summary.picture_png


def test_what_was_found_is_beside_the_map_in_the_same_form(store: Store) -> None:
    """AstroPhotography prints columns that have to be pasted into the YAML by hand."""
    listed(store, "bad_rows: [3]\n")
    make_bad_pixel_map(store, "roof", CAMERA)
    beside = store.master("roof", "bad_pixels", CAMERA).with_suffix(".found.yaml")
    read = read_bad_list(beside)
    assert read.unusable == ()
    assert read.listed.columns == (101,)
    np.testing.assert_array_equal(as_mask(read.listed, SHAPE)[0], (bits(store) & MaskBit.BAD) != 0)
    # Look, and confirm: a copy is a list.
    listed(store, beside.read_text())
    make_bad_pixel_map(store, "roof", CAMERA)
    assert set(np.unique(bits(store))) == {0, 3}


def test_out_of_range_is_a_sentence_and_the_rest_is_used(store: Store) -> None:
    path = listed(store, "bad_columns: [151, 5]\nbad_rectangles: [[119, 130, 1, 2]]\n")
    summary = make_bad_pixel_map(store, "roof", CAMERA)
    assert len(summary.remarks) == 2
    assert all(str(path) in remark for remark in summary.remarks)
    assert "column 151 is outside of 1 to 150" in summary.remarks[0]
    assert ((bits(store) & MaskBit.USER) != 0).sum() == 120 + 4


def test_a_list_alone_serves_where_any_master_tells_the_size(tmp_path: Path) -> None:
    store = Store(tmp_path)
    listed(store, "bad_columns: [7]\n")
    with pytest.raises(NothingToDo):
        make_bad_pixel_map(store, "roof", CAMERA)
    master(store, "bias", np.full(SHAPE, 100.0))
    make_bad_pixel_map(store, "roof", CAMERA)
    assert (bits(store)[:, 6] == MaskBit.USER).all()
    assert np.count_nonzero(bits(store)) == 120


def test_several_master_darks_show_what_jumps_between_nights(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rng = np.random.default_rng(5)
    jumping = rng.random(SHAPE) < 0.003
    for night in range(1, 8):
        dark = rng.normal(300, 2, SHAPE)
        dark[jumping] += 60 * (night % 2)
        master(store, "dark", dark, f"2026-11-{night:02d}")
    # Of the newest alone nothing would be seen that night.
    dark = rng.normal(300, 2, SHAPE)
    master(store, "dark", dark, "2026-11-08")
    make_bad_pixel_map(store, "roof", CAMERA)
    assert (bits(store)[jumping] == MaskBit.BAD).all()
    assert (bits(store)[~jumping] != 0).mean() < 5e-4
    assert date.fromisoformat(
        fits.getheader(store.master("roof", "bad_pixels", CAMERA))["AANIGHT"]
    ) == date(2026, 11, 8)
