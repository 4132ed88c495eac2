"""The users' `config.ini`: every key that is published, and a sentence for every mistake."""

from pathlib import Path

import pytest

from astro_assets.capture.config import read_config
from astro_assets.capture.place import Place, read_place
from astro_assets.capture.words import Roi
from astro_assets.errors import SettingsError
from astro_assets_tests.capture.conftest import write_config

PUBLISHED = """\
[Camera]
Brand = Canon        # ZWO, Canon, Nikon, PiCamera
Model = EOS 1200D    ; as gphoto2 calls it
Exposure = 1/30      # seconds, or Auto
ISO = 800
Image_Frequency = 0.5   # minutes
Image_Format = RAW

[Paths]
FILE_SAVE = /home/pi/pictures
REMOTE_SAVE = user@host:/data

[Location]
longitude = 6.567
latitude = 53.217

[MotorAzi]
ms1 = 17
ms2 = 18
ms3 = 27
ms4 = 22
step_size = 10       # degrees
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.ini"
    file.write_text(text)
    return file


def test_the_published_file_with_its_comments(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, PUBLISHED))
    camera = config.camera
    assert (camera.brand, camera.model) == ("Canon", "EOS 1200D")
    assert camera.exposure_s == pytest.approx(1 / 30)
    assert (camera.gain, camera.cadence_s, camera.image_format) == (800, 30, "RAW")
    assert config.save == Path("/home/pi/pictures")
    assert config.motor is not None
    assert (config.motor.pins, config.motor.step_deg) == ((17, 18, 27, 22), 10)
    assert config.warnings == ()


def test_keys_that_are_ours(tmp_path: Path) -> None:
    more = {"Exposure": "Auto", "Gain": 300, "Offset": 30, "Binning": 2, "Cooling": "-10,5"}
    camera = read_config(write_config(tmp_path, **more, ROI="8, 4, 640, 480")).camera
    assert camera.exposure_s is None
    assert (camera.gain, camera.offset, camera.binning) == (300, 30, 2)
    assert camera.set_temperature_c == -10.5
    assert camera.roi == Roi(8, 4, 640, 480)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("Exposure", "long", r"\[Camera\] Exposure.*1/30, or Auto.*'long'"),
        ("Exposure", "1/0", r"\[Camera\] Exposure"),
        ("Exposure", "-1", r"\[Camera\] Exposure"),
        ("ISO", "high", r"\[Camera\] ISO.*whole number"),
        ("Image_Frequency", "often", r"\[Camera\] Image_Frequency.*minutes"),
        ("Brand", "", r"\[Camera\] Brand.*missing"),
        ("Binning", "9", r"\[Camera\] Binning.*1 to 8"),
        ("Cooling", "-200", r"\[Camera\] Cooling"),
        ("ROI", "1, 2, 3", r"\[Camera\] ROI.*x, y, width, height"),
    ],
)
def test_a_mistake_names_section_and_key(tmp_path: Path, key: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read_config(write_config(tmp_path, **{key: value}))


@pytest.mark.parametrize("text", ["[Camera", "Brand = x", "\xff\xfe"])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.ini"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"config\.ini"):
        read_config(file)


def test_a_pin_used_twice(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\[MotorAzi\] ms1.*four different"):
        read_config(written(tmp_path, PUBLISHED.replace("ms4 = 22", "ms4 = 17")))


@pytest.mark.parametrize(
    ("latitude", "longitude", "zone_h", "place", "doubts"),
    [
        ("53.217", "6.567", 1.0, Place(53.217, 6.567), 0),
        # As every published file has it: the wrong way round.
        ("6.567", "53.217", 1.0, Place(53.217, 6.567), 1),
        ("6.567", "53.217", 0.0, Place(53.217, 6.567), 1),
        # The clock's zone decides elsewhere.
        ("16.4", "-23.3", 2.0, Place(-23.3, 16.4), 1),
        ("-23.3", "16.4", 2.0, Place(-23.3, 16.4), 0),
        # A Pi on UTC in Oman: its clock says nothing of the place.
        ("23.6", "58.5", 0.0, Place(23.6, 58.5), 0),
        # Kashgar keeps Peking's time.
        ("39.5", "76", 8.0, Place(39.5, 76.0), 0),
        ("52", "150", 1.0, Place(52.0, 150.0), 1),
    ],
)
def test_latitude_and_longitude_taken_for_one_another(
    latitude: str, longitude: str, zone_h: float, place: Place, doubts: int
) -> None:
    read, sentences = read_place(Path("config.ini"), latitude, longitude, zone_h)
    assert read == place
    assert len(sentences) == doubts
    assert all("longitude" in sentence for sentence in sentences)


def test_a_latitude_that_cannot_be_one() -> None:
    with pytest.raises(SettingsError, match=r"exchanged\?"):
        read_place(Path("config.ini"), "-118.3", "34.1", -8.0)
    with pytest.raises(SettingsError, match="degrees"):
        read_place(Path("config.ini"), "north", "34.1", -8.0)
