"""A session of a digital camera, from its raw files to the stack: nothing but what it writes."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.settings import load_settings
from astro_assets.sim.cameras import ASI
from astro_assets.sim.defects import Defects
from astro_assets.sim.session import SimulatedSession, simulate_session, small_camera
from astro_assets.steps import solve
from astro_assets.store import Store, read_image
from astro_assets_tests.figures.lane import SOURCE, run_lane
from astro_assets_tests.formats.files import write_dng
from astro_assets_tests.validation.drizzle import flux_errors

LIGHTS = 9
BLACK, WHITE = 500, 65535
PIXEL_UM = 4.63
_DEFECTS = Defects.none().with_only(
    "bias", "dark_current", "hot_pixels", "vignetting", "pixel_response", "read_noise",
    "shot_noise", "dithers", "rotation", "saturation",
)  # fmt: skip
_SETTINGS = """
root = "products"
[site]
name = "Attic"
latitude_deg = 28.76
longitude_deg = -17.88
timezone = "Atlantic/Canary"
[[sources]]
name = "attic"
kind = "folder"
path = "frames"
gain_e_per_adu = 1.1
"""


@pytest.fixture(scope="module")
def truth() -> SimulatedSession:
    camera = small_camera(ASI, (420, 520))
    return simulate_session(
        camera, seed=3, lights=LIGHTS, bias=5, darks=5, flats=5, defects=_DEFECTS
    )


@pytest.fixture(scope="module")
def reduced(truth: SimulatedSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    root = tmp_path_factory.mktemp("camera")
    camera = truth.camera
    focal_mm = 206.265 * PIXEL_UM / camera.scale_arcsec
    start = datetime(2026, 11, 20, 22, 0)  # noqa: DTZ001 - a camera's clock knows no zone
    kinds = {
        "LIGHT": ([light.counts_adu for light in truth.lights], camera.exposure_s),
        "DARK": (truth.darks, camera.exposure_s),
        "FLAT": (truth.flats, truth.flat_exposure_s),
        "BIAS": (truth.bias, 1 / 4000),
    }
    for kind, (frames, exposure_s) in kinds.items():
        for number, counts in enumerate(frames):
            taken = start + timedelta(seconds=20 * number)
            write_dng(
                root / "frames" / "M 42" / kind / "2026-11-20" / f"{kind}-{number:04d}.dng",
                counts.astype(np.uint16), pattern=camera.bayer or "", black=BLACK, white=WHITE,
                exposure_s=exposure_s, taken=f"{taken:%Y:%m:%d %H:%M:%S}",
                focal_length_mm=focal_mm, pixel_um=PIXEL_UM,
            )  # fmt: skip
    (root / "observatory.toml").write_text(_SETTINGS, encoding="utf-8")
    settings = load_settings(root / "observatory.toml")
    (source,) = settings.active_sources
    return Store(settings.root), run_lane(settings, source)


def test_the_camera_says_all_it_knows(reduced: tuple[Store, str], truth: SimulatedSession) -> None:
    store, session = reduced
    assert session.startswith("2026-11-20_M42_")
    header = fits.getheader(min(store.calibrated(SOURCE, session).glob("LIGHT-0000*")))
    assert header["BAYERPAT"] == truth.camera.bayer
    assert header["EXPTIME"] == truth.camera.exposure_s
    assert header["GAIN"] == 800
    assert header["INSTRUME"] == "Roof cam"
    assert header["OBJECT"] == "M 42"
    assert header["FOCALLEN"] == pytest.approx(206.265 * PIXEL_UM / truth.camera.scale_arcsec, 1e-4)
    assert (header["XPIXSZ"], header["YPIXSZ"]) == pytest.approx((PIXEL_UM, PIXEL_UM), 1e-3)
    assert header["FOCRATIO"] == pytest.approx(2.8)
    assert header["DATE-OBS"].startswith("2026-11-20T22:00:00"), "the Canaries keep UTC in winter"
    history = " ".join(str(line) for line in header["HISTORY"]).replace("\n", "")
    assert "black level 500, 500, 500, 500 off" in history
    assert set("BDF") <= set(header["CALSTAT"])


def test_calibrated_pixels_are_the_truth(
    reduced: tuple[Store, str], truth: SimulatedSession
) -> None:
    store, session = reduced
    for number, path in enumerate(sorted(store.calibrated(SOURCE, session).glob("LIGHT-*.fits"))):
        file = read_image(path)
        assert file.mask is not None
        good = file.mask == 0
        for y in (0, 1):
            for x in (0, 1):
                cell = np.s_[y::2, x::2]
                off = (file.image - truth.lights[number].image_e)[cell][good[cell]]
                assert abs(np.median(off)) < 1.0


def test_every_frame_is_solved_and_the_stack_is_drizzled(
    reduced: tuple[Store, str], truth: SimulatedSession
) -> None:
    store, session = reduced
    table = solve.read_table(store.solved(SOURCE, session))
    assert table["accepted"].all(), table["reason"].to_dict()
    folder = store.stacks(SOURCE, session)
    for colour in "RGB":
        file = read_image(folder / f"{colour}.fits")
        assert file.header["NCOMBINE"] == LIGHTS
        assert file.header["AABAYER"] == "Bayer drizzle"
        off = flux_errors(file, truth, colour)
        assert off.size >= 5
        assert abs(np.median(off)) < 0.01, colour
    assert (folder / "color.png").is_file()
