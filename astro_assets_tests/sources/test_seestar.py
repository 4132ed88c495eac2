"""The SeeStar: its names, and real frames of one from a real SMB share into the lane."""

import datetime as dt
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import astro_assets
from astro_assets.settings import Settings, load_settings
from astro_assets.sources import seestar
from astro_assets.sources.batches import look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.sources.protocol import RemoteFile
from astro_assets.steps import calibrate
from astro_assets.steps.recipe import recipe_of
from astro_assets.store import Store, read_image
from astro_assets_tests.sources.conftest import frame, put
from astro_assets_tests.sources.smbd import Smbd

FRAMES = Path(astro_assets.__file__).parents[2] / "shared" / "data" / "seestar_m94"
SESSION = "2025-04-09_M94_Seestar"


def remote(path: str) -> RemoteFile:
    return RemoteFile(path, 1, dt.datetime(2026, 11, 20, 22, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("path", "target", "night", "facts"),
    [
        ("M 94_sub/Light_M 94_10.0s_IRCUT_20250409-225435.fit", "M 94", "2025-04-09",
         {"EXPTIME": "10.0", "FILTER": "IRCUT", "OBJECT": "M 94"}),
        ("M 94_sub/Light_M 94_30.0s_LP_20250410-031502.FIT", "M 94", "2025-04-09",
         {"EXPTIME": "30.0", "FILTER": "LP"}),
        ("NGC_7000_sub/Light_NGC_7000_10.0s_20250409-225435.fits", "NGC 7000", "2025-04-09", {}),
        ("M 31_mosaic_sub/Light_mosaic_M 31_10.0s_IRCUT_20250409-225435.fit", "M 31 mosaic",
         "2025-04-09", {"EXPTIME": "10.0"}),
        ("M 94_sub/Light_of_another_name.fit", "M 94", "2026-11-20", {}),
    ],
)  # fmt: skip
def test_names(path: str, target: str, night: str, facts: dict[str, str]) -> None:
    placement = seestar.place(remote(path), "UTC")
    assert placement is not None
    assert (placement.target, placement.night.isoformat()) == (target, night)
    assert facts.items() <= placement.facts.items()


@pytest.mark.parametrize(
    "path",
    [
        "M 94/Stacked_210_M 94_10.0s_IRCUT_20250409.fit",
        "M 94_sub/Light_M 94_10.0s_IRCUT_20250409-225435.jpg",
        "M 94_sub/Light_M 94_10.0s_IRCUT_20250409-225435_thn.jpg",
        "M 94_sub/Stacked_3.fit",
        "Lunar/Light_x.fit",
        "Light_x.fit",
    ],
)
def test_stacks_pictures_and_other_folders_are_left(path: str) -> None:
    assert seestar.place(remote(path), "UTC") is None


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Smbd]:
    works = tmp_path / "disk/MyWorks"
    put(works / "M 94/Stacked_2_M 94_10.0s_IRCUT_20250409.fit", frame(9))
    put(works / "M 94_sub/Light_M 94_10.0s_IRCUT_20250409-225435.jpg", b"picture")
    server = Smbd(tmp_path / "samba", tmp_path / "disk")
    server.start()
    yield server
    server.stop()


def settings_of(tmp_path: Path, port: int) -> Settings:
    text = (
        'root = "data"\n[site]\nname = "a"\nlatitude_deg = 44.7\nlongitude_deg = -0.6\n'
        'timezone = "Europe/Paris"\n'
        f'[[sources]]\nname = "star"\nkind = "seestar"\nhost = "127.0.0.1"\nport = {port}\n'
    )
    return load_settings(put(tmp_path / "observatory.toml", text))


def test_the_defaults_are_the_telescope_s_own(tmp_path: Path) -> None:
    source = settings_of(tmp_path, 445).source("star")
    assert source.kind == "seestar"
    assert (source.share, source.path) == ("EMMC Images", "MyWorks")


def test_real_frames_from_the_share_to_electrons(tmp_path: Path, share: Smbd) -> None:
    if not FRAMES.is_dir():
        pytest.skip("the real frames (shared/data/seestar_m94) are not beside the project")
    served = sorted(FRAMES.glob("*.fit"))[:2]
    for path in served:
        shutil.copy(path, tmp_path / "disk/MyWorks/M 94_sub" / path.name)
    settings = settings_of(tmp_path, share.port)
    source, store = settings.source("star"), Store(settings.root)
    (batch,) = look(source, settings)
    assert (batch.key, len(batch.files)) == (SESSION, 2)
    fetch_batch(partial(connect, source, settings.secrets), batch, store)
    for path in served:
        here = store.raw("star", SESSION) / "M 94_sub" / path.name
        assert here.read_bytes() == path.read_bytes()
    summary = calibrate.calibrate_session(store, "star", SESSION, recipe_of(source), None)
    assert summary.figures["calibrated"] == 2
    product = read_image(next(store.calibrated("star", SESSION).glob("*.fits")))
    assert (product.header["BAYERPAT"], product.header["OBJECT"]) == ("GRBG", "M 94")
    assert product.image.shape == (1920, 1080)
