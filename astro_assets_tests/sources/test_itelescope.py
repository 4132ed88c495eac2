"""iTelescope: what is wanted by choice, its masters, its sites, from FTPS into the lane."""

import datetime as dt

import pytest

from astro_assets.data import ITELESCOPE_SITES
from astro_assets.defs.jobs import lane_jobs
from astro_assets.frame import FrameKind
from astro_assets.night import night_of
from astro_assets.settings import ItelescopeSource
from astro_assets.sources import itelescope
from astro_assets.sources.batches import group
from astro_assets.sources.itelescope_sites import sites
from astro_assets.sources.protocol import Placement, RemoteFile
from astro_assets.steps.recipe import recipe_of
from astro_assets_tests.sources.conftest import Night

ALL = ("calibrated", "raw", "masters")
WEBB = "T31-davestrickland-webb-20211229-024225-Green-BIN1-W-300-001"
HOME = "T31/webb/20211229"
DARK = "Master_Dark_1_4008x2672_Bin1x1_Temp-15C_ExpTime900s.fit"
LIBRARY = "CALIBRATION FILES/T20/Masters"
SEEN = dt.datetime(2026, 11, 20, 13, tzinfo=dt.UTC)


def remote(path: str) -> RemoteFile:
    return RemoteFile(path, 1, SEEN)


def placed(path: str, *frames: str) -> Placement | None:
    return itelescope.place(remote(path), "Europe/Amsterdam", frames or ("calibrated",))


def found(path: str, *frames: str) -> Placement:
    placement = placed(path, *frames)
    assert placement is not None
    return placement


# What is wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (f"{HOME}/calibrated-{WEBB}.fit.zip", "calibrated"),
        (f"t31/webb/20211229/CALIBRATED-{WEBB}.FIT.ZIP", "calibrated"),
        (f"{HOME}/deep/er/calibrated-{WEBB}.fits", "calibrated"),
        (f"{HOME}/cal-{WEBB}.fit.zip", "calibrated"),
        (f"{HOME}/Calibrated-iTelescope-Whale_Galaxy_NGC_55-900s-Red-5.fits", "calibrated"),
        (f"{HOME}/raw-{WEBB}.fit.zip", "raw"),
        (f"{HOME}/raw-{WEBB}.fit", "raw"),
        (f"{LIBRARY}/Darks/2020-04/{DARK}", "masters"),
        (f"T20/Masters/Darks/2020-04/{DARK}", "masters"),
    ],
)
def test_each_is_taken_where_it_is_wanted_and_only_there(path: str, wanted: str) -> None:
    for frames in ALL:
        assert (placed(path, frames) is not None) is (frames == wanted), frames


@pytest.mark.parametrize(
    "path",
    [
        f"Thumbs/calibrated-{WEBB}.fit.zip",
        f"calibrated-{WEBB}.fit.zip",
        f"{HOME}/calibrated-{WEBB}.jpg.zip",
        f"{HOME}/jpeg-{WEBB}.fit",
        f"{HOME}/cal-of-my-own.fit",
        f"{LIBRARY}/Darks/2020-04/notes.txt",
        f"{LIBRARY}/2020-04/Lights/image.fit",
        f"CALIBRATION FILES/Masters/Darks/{DARK}",
    ],
)
def test_other_folders_and_files_are_left_whatever_is_wanted(path: str) -> None:
    assert placed(path, *ALL) is None


# Names


def test_the_time_in_a_name_is_neither_a_night_nor_utc() -> None:
    """A frame of this name began at 15:42:46 UTC, 02:42 the next day at Siding Spring."""
    placement = found(f"{HOME}/calibrated-{WEBB}.fit.zip")
    assert placement.night == dt.date(2021, 12, 29)
    assert not any(keyword.startswith(("DATE", "TIME", "UT")) for keyword in placement.facts)


def test_a_mosaic_s_tile_is_a_target_of_its_own() -> None:
    name = "calibrated-T20-davestrickland-CygnusLoop_x1_y1-20210708-220604-Ha-BIN1-E-300-001"
    placement = found(f"T20/CygnusLoop/20210708/{name}.fit.zip")
    assert placement.target == "CygnusLoop_x1_y1"
    assert placement.facts["OBSERVER"] == "davestrickland"


def test_blank_keywords_are_filled() -> None:
    facts = found(f"{HOME}/raw-{WEBB}.fit", "raw").facts
    told = {"OBJECT": "webb", "TELESCOP": "T31", "OBSERVER": "davestrickland", "FILTER": "Green",
            "EXPTIME": "300", "XBINNING": "1", "YBINNING": "1", "PIERSIDE": "W",
            "IMAGETYP": "Light Frame"}  # fmt: skip
    assert told.items() <= facts.items()
    assert "CALSTAT" not in facts
    assert found(f"{HOME}/calibrated-{WEBB}.fit").facts["CALSTAT"] == "BDF"


def test_a_premium_image_says_what_its_header_does_not() -> None:
    placement = found("T21/x/20230101/Calibrated-iTelescope-Whale_Galaxy_NGC_55-900s-Red-5.fits")
    assert placement.target == "Whale Galaxy NGC 55"
    told = {"EXPTIME": "900", "FILTER": "Red", "IMAGETYP": "Light Frame"}
    assert told.items() <= placement.facts.items()


# Sites


def test_the_table_holds_what_it_should() -> None:
    text = ITELESCOPE_SITES.read_text(encoding="utf-8")
    assert "not listed" in text, "it says what it does not know"
    assert {"T20", "T24", "T31", "T07", "T72"} <= set(sites())
    for telescope, site in sites().items():
        assert telescope == f"T{int(telescope[1:]):02d}"
        assert -90 < float(site.latitude_deg) < 90
        assert -180 < float(site.longitude_deg) < 180
        assert 0 < float(site.elevation_m) < 3000
        night_of(SEEN, site.timezone)


def test_the_telescope_s_number_gives_the_site() -> None:
    facts = found(f"{HOME}/calibrated-{WEBB}.fit.zip").facts
    assert (float(facts["SITELAT"]), float(facts["SITELONG"])) == pytest.approx(
        (-31.27, 149.06), abs=0.02
    )
    assert facts["OBSGEO-B"] == facts["SITELAT"]
    assert "SITELAT" not in found("T99/a/20211229/calibrated-a.fit.zip").facts


def test_a_telescope_that_was_moved_has_its_old_place_only_until_then() -> None:
    before = found("T20/a/20211229/calibrated-a.fit.zip").facts
    after = found("T20/a/20261120/calibrated-a.fit.zip").facts
    assert "Mayhill" in before["SITENAME"]
    assert "SITELAT" not in after


def test_a_night_that_only_the_server_s_clock_tells_is_the_telescope_s() -> None:
    """13:00 UTC: past midnight at Siding Spring, early morning in New Mexico, noon in Chile."""
    nights = {t: found(f"{t}/a/calibrated-a.fit.zip").night.isoformat() for t in ("T31", "T20")}
    assert nights == {"T31": "2026-11-20", "T20": "2026-11-19"}


# Raw frames beside calibrated ones


def test_an_exposure_is_taken_once() -> None:
    other = WEBB.replace("001", "002")
    files = [
        remote(f"{HOME}/{n}.fit.zip") for n in (f"calibrated-{WEBB}", f"raw-{WEBB}", f"raw-{other}")
    ]
    both = group("i", files, lambda file: placed(file.path, *ALL))
    assert {batch.key: [file.path for file in batch.files] for batch in both} == {
        "2021-12-29_webb_T31": [f"{HOME}/calibrated-{WEBB}.fit.zip"],
        "2021-12-29_webb_T31-raw": [f"{HOME}/raw-{other}.fit.zip"],
    }
    (raw,) = group("i", files, lambda file: placed(file.path, "raw"))
    assert (raw.key, len(raw.files)) == ("2021-12-29_webb_T31", 2)


# The library


@pytest.mark.parametrize(
    ("path", "kind", "key", "facts"),
    [
        (f"{LIBRARY}/Darks/2020-04/{DARK}", FrameKind.DARK,
         "2020-04-01_dark_T20_900s_bin1_-15C_1_4008x2672",
         {"EXPTIME": "900", "CCD-TEMP": "-15", "XBINNING": "1", "IMAGETYP": "Master Dark"}),
        (f"{LIBRARY}/Bias/2020-04-15/Master_Bias_2_4008x2672_Bin2x2_Temp-15C_ExpTime0ms.fit.zip",
         FrameKind.BIAS, "2020-04-15_bias_T20_bin2_-15C_2_4008x2672", {"EXPTIME": "0"}),
        (f"{LIBRARY}/Flats/2020-04/Master_Flat_Red_1_4008x2672_Bin1x1_Temp-15C_ExpTime300ms.fit",
         FrameKind.FLAT, "2020-04-01_flat_T20_Red_bin1_-15C_1_4008x2672",
         {"FILTER": "Red", "EXPTIME": "0.3"}),
        (f"{LIBRARY}/Flats/2020-04/Ha/Master_Flat 1_Bin1x1.fit", FrameKind.FLAT,
         "2020-04-01_flat_T20_Ha_bin1_1", {"FILTER": "Ha"}),
        (f"T5/Masters/Darks/{DARK}", FrameKind.DARK,
         "2026-11-20_dark_T05_900s_bin1_-15C_1_4008x2672", {"TELESCOP": "T05"}),
    ],
)  # fmt: skip
def test_a_master_is_a_set_of_its_own(
    path: str, kind: FrameKind, key: str, facts: dict[str, str]
) -> None:
    (batch,) = group("i", [remote(path)], lambda file: placed(file.path, "masters"))
    assert (batch.kind, batch.key) == (kind, key)
    assert facts.items() <= batch.files[0].facts.items()


# Settings, jobs, recipe


def source(**more: object) -> ItelescopeSource:
    return ItelescopeSource(
        kind="itelescope",
        name="rented",
        user_env="A",
        password_env="B",
        **more,  # type: ignore[arg-type]
    )


def test_raw_frames_need_calibrations_in_their_lane() -> None:
    usual, own = source(), source(frames=("raw", "masters"))
    assert recipe_of(usual).arrives_calibrated
    assert not recipe_of(own).arrives_calibrated
    assert [job.name for job in lane_jobs(usual)] == ["rented_session"]
    assert "rented_master_dark" in [job.name for job in lane_jobs(own)]


@pytest.mark.parametrize("frames", ['["lights"]', "[]", '"raw"'])
def test_a_wrong_choice_is_told(night: Night, frames: str) -> None:
    text = (
        '\n[[sources]]\nname = "b"\nkind = "itelescope"\nuser_env = "A"\npassword_env = "B"\n'
        f"frames = {frames}\n"
    )
    (problem,) = night.with_more_settings(text).settings.problems
    assert "frames" in str(problem)
