"""Bulb, RAW with JPEG and settings: python-gphoto2 and libgphoto2's own driver, on a camera of PTP.

libgphoto2's virtual camera knows neither, so the USB bus under the driver is ours here
(`usb_port.c`), with a D750 on it that is a script (`nikon`).
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import gphoto2
import pytest

from astro_assets.capture.cameras.protocol import Shot
from astro_assets.capture.clock import Clock
from astro_assets.capture.hands import Hands
from astro_assets.errors import CameraFailed
from astro_assets_tests.capture.conftest import Pi, write_config, write_plan
from astro_assets_tests.capture.nikon import (
    BULB,
    EXPOSURE,
    ISO,
    PROGRAM,
    QUALITY,
    RAW_AND_JPEG,
    Nikon,
)

LIGHT = "Light Frame"


@pytest.fixture(scope="session")
def port(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the port, and with what has Python's gphoto2 look for it there."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    libraries = Path(gphoto2.__file__).parents[1] / "gphoto2.libs"
    found = sorted(libraries.glob("libgphoto2_port-*.so*"))
    if compiler is None or not found:
        pytest.skip("no C compiler (apt install gcc), or a gphoto2 that is no wheel")
    folder = tmp_path_factory.mktemp("port")
    source = Path(__file__).with_name("usb_port.c")
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", folder / "port.so", source, found[0]]
    subprocess.run(words, check=True)
    (folder / "sitecustomize.py").write_text(
        f"import os, gphoto2\nos.environ['IOLIBS'] = {str(folder)!r}\n"
    )
    return folder


@pytest.fixture
def d750(tmp_path: Path) -> Iterator[Nikon]:
    camera = Nikon(tmp_path / "nikon")
    yield camera
    camera.close()


@pytest.fixture
def there(tmp_path: Path, d750: Nikon, port: Path) -> Pi:
    file = write_config(
        tmp_path, Brand="Nikon", Model="D750", Exposure=1, ISO=800, Image_Format="NEF+Fine"
    )
    path = os.pathsep.join([str(port), *filter(None, [os.environ.get("PYTHONPATH")])])
    return Pi(tmp_path, file, {"PTP_CAMERA": str(d750.path), "PYTHONPATH": path})


@pytest.fixture
def hands(there: Pi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hands]:
    """At twenty times the pace."""
    for key, value in there.environment.items():
        monkeypatch.setenv(key, value)
    held = Hands(there.read(), Clock(20.0), lambda _: None, lambda: None)
    yield held
    held.let_go()


def test_raw_and_jpeg_are_both_kept_as_the_camera_wrote_them(
    hands: Hands, there: Pi, d750: Nikon
) -> None:
    taken = hands.expose(Shot(0.1, 800, LIGHT), there.home / "frame")
    assert [file.suffix for file in taken.files] == [".nef", ".jpg"]
    assert [file.read_bytes() for file in taken.files] == list(d750.pictures.values())
    assert d750.properties[QUALITY].value == RAW_AND_JPEG
    # What the configuration asks for is what the camera was set to.
    assert (d750.properties[EXPOSURE].value, d750.properties[ISO].value) == (1000, 800)
    again = hands.expose(Shot(1.0, 400, LIGHT), there.home / "again")
    assert [file.read_bytes() for file in again.files] == list(d750.pictures.values())[2:]
    assert (d750.properties[EXPOSURE].value, d750.properties[ISO].value) == (10_000, 400)


def test_beyond_thirty_seconds_the_shutter_is_held_open(
    hands: Hands, there: Pi, d750: Nikon
) -> None:
    """45 s, which are 2.25 s at this pace; the camera tells how long it was open."""
    taken = hands.expose(Shot(45.0, None, LIGHT, {"OBJECT": "M 31"}), there.home / "long")
    assert d750.properties[EXPOSURE].value == BULB
    assert 2.25 <= d750.taken[0] < 2.25 + 0.75
    assert [file.suffix for file in taken.files] == [".nef", ".jpg"]
    assert (taken.facts["EXPTIME"], taken.facts["OBJECT"]) == ("45.0", "M 31")
    # And back to an exposure that the camera times by itself.
    hands.expose(Shot(1.0, None, LIGHT), there.home / "short")
    assert d750.taken[1] == 1.0


def test_shorter_ones_too_where_it_is_asked_for(hands: Hands, there: Pi, d750: Nikon) -> None:
    write_config(there.home, Brand="Nikon", Model="D750", Bulb=0.5, Image_Format="NEF (Raw)")
    held = Hands(there.read(), Clock(), lambda _: None, lambda: None)
    taken = held.expose(Shot(1.0, None, LIGHT), there.home / "bulb")
    held.let_go()
    assert d750.properties[EXPOSURE].value == BULB
    assert 1.0 <= d750.taken[0] < 1.7
    assert [file.suffix for file in taken.files] == [".nef"]


def test_more_settings_by_name_label_or_path(hands: Hands, there: Pi, d750: Nikon) -> None:
    text = there.config.read_text()
    more = "[Gphoto2]\n/main/capturesettings/expprogram = A\nISO Speed = 1600\nno such = 1\n"
    there.config.write_text(text + more)
    held = Hands(there.read(), Clock(), lambda _: None, lambda: None)
    assert held.expose(Shot(0.1, None, LIGHT), there.home / "one").files
    held.let_go()
    assert (d750.properties[PROGRAM].value, d750.properties[ISO].value) == (3, 1600)


def test_a_camera_that_is_busy_is_asked_again(hands: Hands, there: Pi, d750: Nikon) -> None:
    d750.busy_times = 3  # which the driver waits for
    assert hands.expose(Shot(0.1, None, LIGHT), there.home / "one").files
    d750.busy_times = 100_000
    with pytest.raises(CameraFailed, match="the exposure failed"):
        hands.expose(Shot(0.1, None, LIGHT), there.home / "two")
    d750.busy_times = 0
    assert hands.expose(Shot(0.1, None, LIGHT), there.home / "three").files


def test_in_a_night_a_pair_has_one_number_and_each_its_keywords(there: Pi, d750: Nikon) -> None:
    plan = write_plan(there.home, 0.02)  # 72 s
    write_config(there.home, Brand="Nikon", Model="D750", Exposure=40, ISO=800,
                 Image_Format="NEF+Fine", Image_Frequency=1)  # fmt: skip
    done = there.run("run", "--plan", str(plan), "--speed", "20")
    assert done.returncode == 0, done.stderr
    names = sorted(line["file"] for line in there.manifest())
    assert len(names) in (2, 4)
    assert {name[-4:] for name in names} == {".nef", ".jpg"}
    assert len({name[:-4] for name in names}) == len(names) / 2
    for name in names:
        facts = json.loads((there.night / f"{name}.json").read_text())
        assert (facts["EXPTIME"], facts["GAIN"]) == ("40.0", "800")
        assert (there.night / name).read_bytes() in d750.pictures.values()
