"""The DWARF: its names, and a session with the calibration library over FTP into the lane."""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from astro_assets.frame import FrameKind
from astro_assets.settings import Settings, load_settings
from astro_assets.sim.servers.ftp import FtpServer
from astro_assets.sim.truth_writer import fits_bytes
from astro_assets.sources import dwarf
from astro_assets.sources.batches import group, look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.sources.protocol import RemoteFile
from astro_assets.steps import calibrate, masters
from astro_assets.steps.recipe import recipe_of
from astro_assets.store import Store, read_image
from astro_assets_tests.sources.conftest import put

SESSION = "Astronomy/DWARF_RAW_TELE_M 33_EXP_30_GAIN_60_2025-10-21-22-18-55-284"
LIGHT = f"{SESSION}/M 33_30s60_Astro_20251021-221929504_24C.fits"
LIBRARY = "Astronomy/CALI_FRAME"
DARK = f"{LIBRARY}/dark/cam_0/dark_exp_30.000000_gain_60_bin_1_22C_stack_10.fits"
FLAT = f"{LIBRARY}/flat/cam_0/flat_gain_2_bin_1_ir_1.fits"
BIAS = f"{LIBRARY}/bias/cam_1/bias_gain_2_bin_1.fits"


def remote(path: str) -> RemoteFile:
    return RemoteFile(path, 1, dt.datetime(2026, 11, 20, 22, tzinfo=dt.UTC))


def test_a_light() -> None:
    placement = dwarf.place(remote(LIGHT), "UTC")
    assert placement is not None
    assert (placement.kind, placement.target) == (FrameKind.LIGHT, "M 33")
    assert (placement.night.isoformat(), placement.instrument) == ("2025-10-21", "DWARF TELE")
    told = {"EXPTIME": "30", "GAIN": "60", "FILTER": "Astro", "CCD-TEMP": "24", "OBJECT": "M 33"}
    assert told.items() <= placement.facts.items()


@pytest.mark.parametrize(
    ("path", "kind", "instrument", "facts"),
    [
        (DARK, FrameKind.DARK, "DWARF TELE",
         {"EXPTIME": "30.000000", "GAIN": "60", "XBINNING": "1", "CCD-TEMP": "22",
          "IMAGETYP": "Master Dark"}),
        (FLAT, FrameKind.FLAT, "DWARF TELE", {"FILTER": "Astro", "XBINNING": "1"}),
        (BIAS, FrameKind.BIAS, "DWARF WIDE", {"IMAGETYP": "Master Bias"}),
        ("DWARF_DARK/tele_exp_30_gain_60_bin_1_2025-10-21-00-37-45-393/raw_30s_60_0000_x.fits",
         FrameKind.DARK, "DWARF TELE", {"EXPTIME": "30", "IMAGETYP": "Dark Frame"}),
    ],
)  # fmt: skip
def test_calibration_frames(
    path: str, kind: FrameKind, instrument: str, facts: dict[str, str]
) -> None:
    placement = dwarf.place(remote(path), "UTC")
    assert placement is not None
    assert (placement.kind, placement.instrument) == (kind, instrument)
    assert facts.items() <= placement.facts.items()
    if kind is not FrameKind.DARK:
        assert "GAIN" not in placement.facts, "the number in their names is a step, no gain"


@pytest.mark.parametrize(
    "path",
    [
        f"{SESSION}/stacked-16_M 33_30s60_Astro_20251021-221900245.fits",
        f"{SESSION}/img_reference.png",
        "Astronomy/RESTACKED_x/M 33.fits",
        f"{LIBRARY}/dark/cam_0/nested/none.txt",
        f"{LIBRARY}/other/cam_0/a.fits",
        f"{LIBRARY}/dark/cam_7/a.fits",
        f"{LIBRARY}/a.fits",
        "Burst/a.fits",
    ],
)
def test_the_rest_is_left(path: str) -> None:
    assert dwarf.place(remote(path), "UTC") is None


def test_what_the_telescope_gave_up_is_no_science_and_the_two_cameras_do_not_mix() -> None:
    wide = SESSION.replace("TELE", "WIDE")
    files = [
        remote(LIGHT),
        remote(f"{SESSION}/failed_M 33_30s60_Astro_20251021-224358598_22C.fits"),
        remote(f"{SESSION}/shotsInfo.json"),
        remote(f"{wide}/M 33_30s60_Astro_20251021-221929504_24C.fits"),
    ]
    tele, other = group("d", files, lambda file: dwarf.place(file, "UTC"))
    assert [file.path for file in tele.files] == [LIGHT, f"{SESSION}/shotsInfo.json"]
    assert other.key == "2025-10-21_M33_DWARF-WIDE"


# From the telescope into the lane

RNG = np.random.default_rng(33)
SKY_E, DARK_ADU = 1000, RNG.normal(300, 3, (64, 96))
VIGNETTE = 1 - 0.3 * np.hypot(*np.indices((64, 96))) / np.hypot(64, 96)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    header = {"INSTRUME": "DWARFIII", "BAYERPAT": "RGGB", "DATE-OBS": "2025-10-21T20:19:29",
              "EGAIN": 1.0}  # fmt: skip
    light = np.rint(SKY_E * VIGNETTE + DARK_ADU).astype(np.uint16)
    put(tmp_path / "far" / LIGHT, fits_bytes(light, header))
    put(tmp_path / "far" / SESSION / "shotsInfo.json", "{}")
    put(tmp_path / "far" / DARK, fits_bytes(DARK_ADU.astype(np.float32), {}))
    put(tmp_path / "far" / FLAT, fits_bytes((VIGNETTE * 20_000).astype(np.float32), {}))
    server = FtpServer(tmp_path / "far")
    server.start()
    text = (
        'root = "data"\n[site]\nname = "a"\nlatitude_deg = 44.7\nlongitude_deg = -0.6\n'
        '[[sources]]\nname = "dwarf"\nkind = "dwarf"\nhost = "127.0.0.1"\n'
        f"port = {server.port}\n"
    )
    yield load_settings(put(tmp_path / "observatory.toml", text))
    server.stop()


def test_a_light_is_corrected_with_the_library_of_its_own_telescope(settings: Settings) -> None:
    source, store = settings.source("dwarf"), Store(settings.root)
    batches = {batch.kind: batch for batch in look(source, settings)}
    for batch in batches.values():
        fetch_batch(partial(connect, source, settings.secrets), batch, store)
    for kind in (FrameKind.DARK, FrameKind.FLAT):
        masters.make_master(store, "dwarf", batches[kind].key, kind, None)
    session = batches[FrameKind.LIGHT].key
    calibrate.calibrate_session(store, "dwarf", session, recipe_of(source), None)
    product = read_image(next(store.calibrated("dwarf", session).glob("*.fits")))
    history = str(product.header["HISTORY"])
    assert "no master dark" not in history
    assert "no master flat" not in history
    # The flat's median is 1, so the sky comes out at its level in the middle of the field.
    assert product.image.std() / product.image.mean() < 0.01
    assert product.image.mean() == pytest.approx(SKY_E * np.median(VIGNETTE), rel=0.01)
