"""What a night and its series put together: automatic exposure, the motor, flats, the bus."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.capture import usb
from astro_assets_tests.capture.conftest import MODEL, Pi, write_config, write_plan
from astro_assets_tests.capture.night_of_faults import whole_frames

FAST = ("--speed", "20")


def test_automatic_exposure_reaches_its_level_in_a_night(zwo_pi: Pi, asi_library: Path) -> None:
    """From what the camera found by itself in video mode, in steps."""
    write_config(zwo_pi.home, Brand="ZWO", Model=MODEL, Library=asi_library, Exposure="Auto",
                 ISO=0, Image_Frequency=0.5)  # fmt: skip
    pi = replace(zwo_pi, environment={**zwo_pi.environment, "ASI_SPEED": "20"})
    done = pi.run("run", "--plan", str(write_plan(zwo_pi.home, 0.06)), *FAST)
    assert done.returncode == 0, done.stderr
    frames = whole_frames(zwo_pi)
    levels = [float(np.median(fits.getdata(frame))) / 65535 for frame in frames]
    exposures = [fits.getheader(frame)["EXPTIME"] for frame in frames]
    assert levels[-1] == pytest.approx(0.3, abs=0.03), (levels, exposures)
    assert all(b <= 4 * a for a, b in pairwise(exposures))


def test_the_motor_turns_after_each_frame_and_the_header_tells(pi: Pi) -> None:
    text = pi.config.read_text() + "[MotorAzi]\nms1=17\nms2=18\nms3=27\nms4=22\nstep_size=10\n"
    pi.config.write_text(text)
    done = replace(pi, environment={"GPIOZERO_PIN_FACTORY": "mock"}).run(
        "run", "--plan", str(write_plan(pi.home, 0.05)), *FAST
    )
    assert done.returncode == 0, done.stderr
    azimuths = [fits.getheader(frame)["AZIMUTH"] for frame in whole_frames(pi)]
    assert len(azimuths) >= 2
    assert azimuths == pytest.approx([10 * n for n in range(len(azimuths))], abs=0.5)


def test_flats_and_a_linearity_series(pi: Pi) -> None:
    done = pi.run("flats", "--exposure", "0.02", "--filter", "L", "--count", "3")
    assert done.returncode == 0, done.stderr
    assert pi.run("linearity", "--longest", "0.16").returncode == 0
    lines = [
        json.loads(line)
        for file in pi.captures.glob("*/manifest.jsonl")
        for line in file.read_text().splitlines()
    ]
    facts = [line["facts"] for line in lines]
    assert {fact["IMAGETYP"] for fact in facts} == {"Flat Field"}
    assert [fact["FILTER"] for fact in facts[:3]] == ["L"] * 3
    exposures = [float(fact["EXPTIME"]) for fact in facts[3:]]
    assert exposures == sorted(exposures)
    assert len(exposures) == 32
    assert (exposures[0], exposures[-1]) == pytest.approx((0.01, 0.16))


def test_the_camera_s_own_device_is_reset(
    zwo_pi: Pi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the maker's number on the bus, and no other; what the kernel refuses is said."""
    for name, words in {
        "1-1": {"idVendor": "046d", "busnum": "1", "devnum": "3"},
        "1-2": {"idVendor": "03c3", "busnum": "1", "devnum": "250"},
    }.items():
        (tmp_path / "bus" / name).mkdir(parents=True)
        for key, word in words.items():
            (tmp_path / "bus" / name / key).write_text(f"{word}\n")
    monkeypatch.setattr(usb, "_BUS", tmp_path / "bus")
    said: list[str] = []
    camera = zwo_pi.read().camera
    assert not usb.reset_camera(camera, said.append)
    assert "cannot be reset at /dev/bus/usb/001/250" in said[0]
    assert "install the udev rules" in said[0]
    (tmp_path / "bus/1-2/idVendor").write_text("1234\n")
    assert not usb.reset_camera(camera, said.append)
    assert len(said) == 1
