"""The Vespera: sessions, plans, sidecars, darks, turned frames, and lights that are only TIFF."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from astro_assets.frame import FrameKind
from astro_assets.settings import VesperaSource
from astro_assets.sim.truth_writer import fits_bytes
from astro_assets.sources import vespera
from astro_assets.sources.batches import group
from astro_assets.sources.protocol import RemoteFile
from astro_assets.steps import calibrate, masters
from astro_assets.steps.matching import read_master_header
from astro_assets.steps.recipe import recipe_of
from astro_assets.store import read_image
from astro_assets_tests.formats.files import write_tiff
from astro_assets_tests.sources.conftest import VESPERA, Night, put

ZONE = "Europe/Amsterdam"
STAGE = "01-images-initial"


def remote(path: str) -> RemoteFile:
    return RemoteFile(path, 1, dt.datetime(2026, 11, 20, 22, tzinfo=dt.UTC))


def batches(*paths: str) -> dict[str, list[str]]:
    made = group("v", map(remote, paths), lambda file: vespera.place(file, ZONE))
    return {batch.key: [file.path for file in batch.files] for batch in made}


def test_all_sessions_count_not_only_the_newest() -> None:
    old, new = (f"2023-0{n}-23_23-03-47_observation_M101/{STAGE}/img-0001.fits" for n in (5, 6))
    assert batches(old, new) == {
        "2023-05-23_M101_Vespera": [old],
        "2023-06-23_M101_Vespera": [new],
    }


def test_each_object_of_a_plan_is_a_session() -> None:
    plan = "2023-05-23_plan_My_plan"
    paths = [
        f"{plan}/0{n}-observation-{name}/{STAGE}/img-0001.fits"
        for n, name in ((1, "m16"), (2, "m17"))
    ]
    assert batches(*paths) == {
        "2023-05-23_M16_Vespera": [paths[0]],
        "2023-05-23_M17_Vespera": [paths[1]],
    }


@pytest.mark.parametrize(
    "ending", ["fits", "fit", "fts", "FITS", "Fts", "tif", "tiff", "TIFF", "Tif"]
)
def test_every_spelling(ending: str) -> None:
    path = f"2023-05-23_23-03-47_observation_M101/{STAGE}/img-0001.{ending}"
    assert batches(path) == {"2023-05-23_M101_Vespera": [path]}


@pytest.mark.parametrize("stage", ["01-pointing-initial", "02-images-adjust-focus", "preview"])
@pytest.mark.parametrize("name", ["img-0001.fits", "img-0001r.fits", "img-0001.json"])
def test_pointing_and_focus_are_no_science(stage: str, name: str) -> None:
    path = f"2023-05-23_04-03-47_observation_M101/{stage}/{name}"
    placement = vespera.place(remote(path), ZONE)
    assert placement is not None
    assert placement.kind is FrameKind.OTHER
    assert batches(path) == {}


def test_sidecars_come_along_and_make_no_session_of_their_own() -> None:
    stage = f"2023-05-23_23-03-47_observation_M101/{STAGE}"
    paths = [f"{stage}/img-0001{end}" for end in ("-stacking.json", ".fits", ".json")]
    assert batches(*paths) == {"2023-05-23_M101_Vespera": paths}
    assert batches(paths[0], paths[2]) == {}


def test_darks_of_two_sessions_and_of_a_plan_do_not_meet() -> None:
    """Nobody knows their exposures before they are here, and a set has one."""
    paths = [
        "2023-05-23_22-03-47_observation_M101/img-0001-dark.fits",
        "2023-05-23_23-03-47_observation_M101/img-0001-dark.fits",
        "2023-05-23_plan_A/01-observation-m16/img-0001-dark.fits",
        "2023-05-23_plan_A/02-observation-m17/img-0001-dark.fits",
    ]
    assert batches(*paths) == {
        "2023-05-23_dark_Vespera_220347": [paths[0]],
        "2023-05-23_dark_Vespera_230347": [paths[1]],
        "2023-05-23_dark_Vespera_01": [paths[2]],
        "2023-05-23_dark_Vespera_02": [paths[3]],
    }


def test_nothing_is_deleted_unless_that_is_asked_for() -> None:
    source = VesperaSource(kind="vespera", name="v")
    assert source.delete_after_fetch is False
    assert source.tell_after_empty_looks == 10


# From the telescope into the lane

RNG = np.random.default_rng(101)
SKY = 800
DARK = RNG.normal(200, 2, (64, 96))
HOT = (5, 17)
DARK[HOT] = 9000


def served(night: Night, path: str, content: bytes) -> Path:
    return put(night.served / "vespera/user" / VESPERA / path, content)


def light_bytes(turned: bool, **cards: object) -> bytes:
    counts = np.rint(SKY + DARK).astype(np.uint16)
    header = {"EXPTIME": 10.0, "BAYERPAT": "GRBG" if turned else "GBRG", "EGAIN": 1.0,
              "DATE-OBS": "2026-11-20T20:12:00", "GAIN": 20}  # fmt: skip
    return fits_bytes(counts[::-1, ::-1] if turned else counts, header)


def reduced(night: Night) -> dict[str, Path]:
    """Fetch all, combine the dark, calibrate; products by the stem of their frame."""
    manifests = night.fetch("vespera")
    sets = {manifest.kind: key for key, manifest in manifests.items()}
    if FrameKind.DARK in sets:
        masters.make_master(night.store, "vespera", sets[FrameKind.DARK], FrameKind.DARK, None)
    session = sets[FrameKind.LIGHT]
    recipe = recipe_of(night.settings.source("vespera"))
    calibrate.calibrate_session(night.store, "vespera", session, recipe, None)
    folder = night.store.calibrated("vespera", session)
    return {path.stem.rsplit("-", 1)[0]: path for path in folder.glob("*.fits")}


@pytest.fixture
def own(night: Night) -> Night:
    """A telescope with nothing on it but its root."""
    for path in sorted((night.served / "vespera/user").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    return night


def test_a_turned_frame_keeps_its_own_pattern_and_gets_its_dark_turned(own: Night) -> None:
    served(own, f"{STAGE}/img-0001.fits", light_bytes(turned=False))
    served(own, f"{STAGE}/img-0002r.fits", light_bytes(turned=True))
    dark = np.rint(DARK).astype(np.uint16)
    header = {"EXPTIME": 10.0, "BAYERPAT": "GBRG", "GAIN": 20}
    served(own, "img-0001-dark.fits", fits_bytes(dark, header))
    products = reduced(own)
    upright, turned = (read_image(products[n]) for n in ("img-0001", "img-0002r"))
    assert (upright.header["BAYERPAT"], turned.header["BAYERPAT"]) == ("GBRG", "GRBG")
    # With the dark the wrong way round the hot pixel would stay, and leave a hole elsewhere.
    for product in (upright, turned):
        assert product.image.min() > SKY - 30
        assert product.image.max() < SKY + 30
    np.testing.assert_allclose(turned.image[::-1, ::-1], upright.image, atol=2)


def test_the_dark_s_exposure_is_what_its_header_says(own: Night) -> None:
    served(own, f"{STAGE}/img-0001.fits", light_bytes(turned=False))
    header = {"EXPTIME": 8.0, "BAYERPAT": "GBRG", "GAIN": 20, "DATE-OBS": "2026-11-20T20:07:00"}
    served(own, "img-0001-dark.fits", fits_bytes(np.rint(DARK).astype(np.uint16), header))
    reduced(own)
    (path,) = own.store.root.glob("masters/vespera/dark/*.fits")
    master = read_master_header(path)
    assert (master.exposure_s, master.night.isoformat()) == (8.0, "2026-11-20")


@pytest.mark.parametrize("colours", [False, True])
def test_a_light_that_is_only_a_tiff_is_reduced_too(
    own: Night, tmp_path: Path, colours: bool
) -> None:
    shape = (64, 96, 3) if colours else (64, 96)
    image = np.random.default_rng(4).integers(700, 900, shape, dtype=np.uint16)
    tiff = write_tiff(tmp_path / "a.tif", image, photometric="rgb" if colours else "minisblack")
    served(own, f"{STAGE}/img-0001.TIFF", tiff.read_bytes())
    sidecar = {"capture": {"exposure_ms": 10_000, "gain": 20}, "bayerPattern": "GBRG"}
    served(own, f"{STAGE}/img-0001.json", json.dumps(sidecar).encode())
    product = read_image(reduced(own)["img-0001"])
    assert product.header["EXPTIME"] == 10.0
    assert product.header["BAYERPAT"] == ("RGGB" if colours else "GBRG")
    plane = image[0::2, 0::2, 0] if colours else image[0::2, 0::2]
    np.testing.assert_array_equal(product.image[0::2, 0::2], plane)


def test_a_tiff_of_which_nobody_tells_the_exposure_is_named(own: Night, tmp_path: Path) -> None:
    tiff = write_tiff(tmp_path / "a.tif", np.full((64, 96), 700, np.uint16))
    served(own, f"{STAGE}/img-0001.tif", tiff.read_bytes())
    (key,) = own.fetch("vespera")
    recipe = recipe_of(own.settings.source("vespera"))
    summary = calibrate.calibrate_session(own.store, "vespera", key, recipe, None)
    assert "img-0001.tif has no exposure time" in summary.unusable[0]


@pytest.mark.parametrize(
    "content", [b"{", b"[1, 2]", b'{"exposure": true}', b"\xff\xfe", b"{}" * 9]
)
def test_a_sidecar_that_says_nothing_does_no_harm(own: Night, content: bytes) -> None:
    served(own, f"{STAGE}/img-0001.fits", light_bytes(turned=False))
    served(own, f"{STAGE}/img-0001.json", content)
    assert read_image(reduced(own)["img-0001"]).header["EXPTIME"] == 10.0
