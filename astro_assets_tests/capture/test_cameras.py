"""Real libraries, cameras that are none: zwoasi on a small C library, gphoto2's virtual camera."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.capture.cameras.protocol import Shot
from astro_assets.capture.clock import Clock
from astro_assets.capture.hands import Hands
from astro_assets.errors import CameraFailed
from astro_assets_tests.capture.conftest import Pi, write_config

LIGHT = Shot(0.05, 100, "Light Frame", {"OBJECT": "M 31"})


@pytest.fixture
def hands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """The hands of the Pi that the test asks for by name, let go at the end."""
    held = []

    def of(pi: Pi) -> Hands:
        for key, value in pi.environment.items():
            monkeypatch.setenv(key, value)
        held.append(Hands(pi.read(), Clock(), lambda _: None, lambda: None))
        return held[-1]

    yield of
    for one in held:
        one.let_go()


def faults(pi: Pi, *words: str) -> None:
    (pi.home / "faults").write_text("".join(f"{word}\n" for word in words))


def test_a_zwo_frame_has_sixteen_bits_and_a_full_header(zwo_pi: Pi, hands, asi_library) -> None:
    more = {"Offset": 20, "Cooling": -10, "Library": asi_library, "ROI": "2, 1, 32, 16"}
    write_config(zwo_pi.home, Brand="ZWO", Model="ASI294MC Pro", **more)
    taken = hands(zwo_pi).expose(LIGHT, zwo_pi.home / "frame")
    (file,) = taken.files
    with fits.open(file, checksum=True) as hdus:
        header, pixels = hdus[0].header, hdus[0].data
    assert pixels.dtype == np.uint16
    assert pixels.shape == (16, 32)
    assert pixels.max() > 255
    wanted = {
        "IMAGETYP": "Light Frame", "OBJECT": "M 31", "EXPTIME": 0.05, "GAIN": 100, "OFFSET": 20,
        "CCD-TEMP": 12.3, "SET-TEMP": -10.0, "XBINNING": 1, "INSTRUME": "ZWO ASI294MC Pro",
        "BAYERPAT": "GBRG",  # RGGB from its second row on
        "EGAIN": 0.95,
    }  # fmt: skip
    assert {key: header[key] for key in wanted} == wanted
    begun, middle, ended = (np.datetime64(header[f"DATE-{k}"]) for k in ("OBS", "AVG", "END"))
    assert ended - begun == np.timedelta64(50, "ms")
    assert middle - begun == np.timedelta64(25, "ms")
    assert taken.level == pytest.approx(float(np.median(pixels)) / 65535, abs=0.01)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("failed", "status 3"), ("removed", "removed"), ("short", "failed"), ("crash", "signal 6"),
        ("hang", "did not end in time"),
    ],
)  # fmt: skip
def test_after_a_fault_the_next_exposure_works(
    zwo_pi: Pi, hands, fault: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astro_assets.capture.hands.BEYOND_EXPOSURE_S", 3.0)
    faults(zwo_pi, fault)
    hand = hands(zwo_pi)
    with pytest.raises(CameraFailed, match=sentence):
        hand.expose(LIGHT, zwo_pi.home / "one")
    assert hand.expose(LIGHT, zwo_pi.home / "two").files[0].is_file()


def test_a_control_that_does_not_take_at_first_is_set_again(zwo_pi: Pi, hands) -> None:
    faults(zwo_pi, "slow-control")
    hand = hands(zwo_pi)
    hand.expose(LIGHT, zwo_pi.home / "one")
    taken = hand.expose(Shot(0.02, 250, "Light Frame"), zwo_pi.home / "two")
    assert (taken.facts["GAIN"], taken.facts["EXPTIME"]) == ("250", "0.02")


def test_automatic_exposure_settles_in_video_mode_within_its_limit(zwo_pi: Pi, hands) -> None:
    settled = hands(zwo_pi).settle(300, 2.0)
    assert settled is not None
    assert settled[0] == pytest.approx(2.0, rel=0.1)


def test_another_camera_than_the_configured_one_is_said(zwo_pi: Pi, hands, asi_library) -> None:
    write_config(zwo_pi.home, Brand="ZWO", Model="ASI120MM", Library=asi_library)
    with pytest.raises(CameraFailed, match="there is ZWO ASI294MC Pro"):
        hands(zwo_pi).expose(LIGHT, zwo_pi.home / "x")


def test_no_camera_at_all(zwo_pi: Pi, hands) -> None:
    (zwo_pi.home / "absent").touch()
    with pytest.raises(CameraFailed, match="is it plugged in"):
        hands(zwo_pi).expose(LIGHT, zwo_pi.home / "x")


def test_gphoto_keeps_what_the_camera_wrote(nikon_pi: Pi, hands) -> None:
    taken = hands(nikon_pi).expose(LIGHT, nikon_pi.home / "frame")
    (file,) = taken.files
    assert file.suffix == ".jpg"
    picture = nikon_pi.home / "camera/DCIM/100NIKON/DSC_0001.JPG"
    assert file.read_bytes() == picture.read_bytes()
    assert taken.facts["INSTRUME"] == "Nikon DSC D750"


def test_gphoto_goes_on_when_the_driver_gives_up(nikon_pi: Pi, hands) -> None:
    """The virtual camera takes some 26 pictures, then fails until it is opened anew."""
    hand, failures = hands(nikon_pi), 0
    for number in range(28):
        try:
            hand.expose(LIGHT, nikon_pi.home / f"frame-{number}")
        except CameraFailed:
            failures += 1
    assert 1 <= failures <= 2
    assert len(list(nikon_pi.home.glob("frame-*.jpg"))) == 28 - failures


def test_gphoto_says_which_camera_is_there(nikon_pi: Pi, hands) -> None:
    write_config(nikon_pi.home, Brand="Canon", Model="EOS RP")
    with pytest.raises(CameraFailed, match=r"Canon EOS RP is not there, but Nikon"):
        hands(nikon_pi).expose(LIGHT, nikon_pi.home / "x")


def test_gphoto_longer_than_the_camera_can(nikon_pi: Pi, hands) -> None:
    """The virtual camera announces bulb; it has no picture to show for it, and that is said."""
    with pytest.raises(CameraFailed):
        hands(nikon_pi).expose(Shot(2.0, None, "Light Frame"), nikon_pi.home / "x")


def test_check_takes_a_picture(nikon_pi: Pi) -> None:
    done = nikon_pi.run("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ camera: Nikon D750 took a picture" in done.stdout
    assert done.stdout.count("✓") == 5


def test_bias_and_darks_land_with_their_kind(zwo_pi: Pi) -> None:
    assert zwo_pi.run("bias", "--count", "3").returncode == 0
    done = zwo_pi.run(
        "darks", "--exposure", "0.01", "--exposure", "0.02", "--gain", "0", "--count", "2"
    )
    assert done.returncode == 0, done.stderr
    manifests = list(zwo_pi.captures.glob("*/manifest.jsonl"))
    lines = [json.loads(line) for file in manifests for line in file.read_text().splitlines()]
    kinds = [line["facts"]["IMAGETYP"] for line in lines]
    assert kinds == ["Bias Frame"] * 3 + ["Dark Frame"] * 4
    assert [line["facts"]["EXPTIME"] for line in lines[3:]] == ["0.01", "0.01", "0.02", "0.02"]
    assert all(Path(file.parent / line["file"]).is_file() for file in manifests for line in lines)
