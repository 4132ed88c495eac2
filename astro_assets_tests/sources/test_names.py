"""What names, paths and listing lines say; and that no name, however odd, does harm."""

import datetime as dt
from functools import partial
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_assets.errors import UnsafeName
from astro_assets.frame import FrameKind
from astro_assets.sources import folder, itelescope, vespera
from astro_assets.sources.batches import batch_key, group
from astro_assets.sources.ftp_listing import parse_list, parse_mlsd, parse_time
from astro_assets.sources.kinds import KINDS
from astro_assets.sources.manifest import same_time
from astro_assets.sources.paths import quarantine_path, safe_path, stem, versioned
from astro_assets.sources.pi_manifest import parse_manifest
from astro_assets.sources.protocol import Placement, RemoteFile

TIMEZONE = "Atlantic/Canary"
SEED = settings(max_examples=300, deadline=None, derandomize=True)
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
LONG = "calibrated-T31-davestrickland-webb-20211229-024225-Green-BIN1-W-300-001.fit.zip"


def remote(path: str, **facts: str) -> RemoteFile:
    moment = dt.datetime(2026, 11, 20, 22, tzinfo=dt.UTC)
    return RemoteFile(path, 1, moment, facts)


@pytest.mark.parametrize(
    ("path", "target", "night", "instrument", "facts"),
    [
        (f"T31/webb/20211229/{LONG}", "webb", "2021-12-29", "T31",
         {"FILTER": "Green", "EXPTIME": "300"}),
        ("t20/Loop/20210708/calibrated-T20-dave-Loop_x1_y1-20210708-220604-Ha-BIN1-E-300-001.fit.zip",
         "Loop_x1_y1", "2021-07-08", "T20", {"FILTER": "Ha"}),
        ("T05/NGC_6888/20200716/Calibrated-T05-a-b-NGC_6888-20200716-231744-Ha-BIN2-E-180-001.FIT.ZIP",
         "NGC 6888", "2020-07-16", "T05", {"XBINNING": "2"}),
        ("T05/A - M/20200716/deep/calibrated-T05-a-b-A - M-20200716-231744-L-BIN1-E-1.5-1.fit.zip",
         "A - M", "2020-07-16", "T05", {"EXPTIME": "1.5"}),
        ("T21/Whale/20230101/Calibrated-iTelescope-Whale_Galaxy_NGC_55-900s-Red-5.fit.zip",
         "Whale Galaxy NGC 55", "2023-01-01", "T21", {"FILTER": "Red", "EXPTIME": "900"}),
        ("T21/M 33/20230101/calibrated of my own.fit.zip", "M 33", "2023-01-01", "T21", {}),
        ("T21/M 33/calibrated-undated.fit.zip", "M 33", "2026-11-20", "T21", {}),
        ("T21/M 33/20231341/calibrated-impossible.fit.zip", "M 33", "2026-11-20", "T21", {}),
    ],
)  # fmt: skip
def test_itelescope_names(
    path: str, target: str, night: str, instrument: str, facts: dict[str, str]
) -> None:
    placement = itelescope.place(remote(path), TIMEZONE)
    assert placement is not None
    assert (placement.kind, placement.target) == (FrameKind.LIGHT, target)
    assert (placement.night.isoformat(), placement.instrument) == (night, instrument)
    assert facts.items() <= placement.facts.items()
    assert placement.facts["OBJECT"] == target


@pytest.mark.parametrize(
    "path",
    [
        f"T31/webb/20211229/{LONG.replace('calibrated', 'raw')}",
        f"T31/webb/20211229/{LONG.replace('.fit.zip', '.jpg')}",
        f"CALIBRATION FILES/T31/{LONG}",
        f"Thumbs/{LONG}",
        LONG,
    ],
)
def test_itelescope_leaves_the_rest_alone(path: str) -> None:
    assert itelescope.place(remote(path), TIMEZONE) is None


@pytest.mark.parametrize(
    ("path", "kind", "target", "night"),
    [
        ("2023-05-23_04-03-47_observation_M101/01-images-initial/img-0001r.fits",
         FrameKind.LIGHT, "M101", "2023-05-22"),
        ("2023-05-23_21-03-47_observation_M101/01-images-initial/img-0001.TIFF",
         FrameKind.LIGHT, "M101", "2023-05-23"),
        ("2023-05-23_plan_My_plan/01-observation-m16/01-images-initial/img-0001.fit",
         FrameKind.LIGHT, "m16", "2023-05-23"),
        ("2023-05-23_04-03-47_observation_NGC_7000/01-images-initial/a.fts",
         FrameKind.LIGHT, "NGC 7000", "2023-05-22"),
        ("2023-05-23_04-03-47_observation_M101/img-0001-dark.fits",
         FrameKind.DARK, None, "2023-05-22"),
        ("2023-05-23_04-03-47_plan_A/02-observation-m16/img-0001-dark.fits",
         FrameKind.DARK, None, "2023-05-22"),
        ("2023-05-23_04-03-47_observation_M101/02-images-adjust-focus/img-0001r.fits",
         FrameKind.OTHER, None, "2023-05-22"),
        ("2023-05-23_04-03-47_observation_M101/01-pointing-initial/dark.fits",
         FrameKind.OTHER, None, "2023-05-22"),
        ("9999-99-99_04-03-47_observation_M101/01-images-initial/a.fits",
         FrameKind.LIGHT, "M101", "2026-11-20"),
        ("2023-05-23_99-99-99_observation_M101/01-images-initial/a.fits",
         FrameKind.LIGHT, "M101", "2026-11-20"),
    ],
)  # fmt: skip
def test_vespera_paths(path: str, kind: FrameKind, target: str | None, night: str) -> None:
    placement = vespera.place(remote(path), TIMEZONE)
    assert placement is not None
    assert (placement.kind, placement.target) == (kind, target)
    assert placement.night.isoformat() == night


def test_vespera_sidecars_go_with_their_frames() -> None:
    stage = "2023-05-23_observation-M1/01-images-initial"
    files = [
        remote(f"{stage}/a.fits"),
        remote(f"{stage}/a.json"),
        remote(f"{stage}/a-stacking.json"),
    ]
    (batch,) = group("v", files, lambda file: vespera.place(file, "UTC"))
    assert len(batch.files) == 3
    assert group("v", files[1:], lambda file: vespera.place(file, "UTC")) == []


def test_folder_counts_nights_at_the_site() -> None:
    file = remote("a.fits", **{"DATE-OBS": "2026-11-21T05:00:00", "OBJECT": "M 1"})
    assert folder.place(file, "UTC").night == dt.date(2026, 11, 20)
    assert folder.place(file, "Asia/Tokyo").night == dt.date(2026, 11, 21)


def test_two_spellings_of_a_target_are_one_session_and_pictures_are_left_out() -> None:
    base = "2026-11-20_21-00-00_observation"
    files = [
        remote(f"{base}_M31/01-images-initial/a.fits"),
        remote(f"{base}_M31/01-images-initial/A.TIF"),
        remote(f"{base}-m_31/01-images-initial/a.fits"),
        remote(f"{base}_M31/01-images-initial/only.tif"),
    ]
    (batch,) = group("v", files, lambda file: vespera.place(file, TIMEZONE))
    assert batch.key == "2026-11-20_M31_Vespera"
    assert [file.path for file in batch.files] == [files[2].path, files[0].path, files[3].path]


NAMES = [
    "calibrated-x.fit.zip", LONG, "a-dark.fits", "", "Master_Dark_1_Bin1x1_Temp--C.fit", "a.json",
    "raw-x.fits", "Light_x_1.0s_L_99999999-999999.fit", "dark_exp_9.9.9_gain_.fits",
    "x_9999-99-99_99-99-99_1s.xisf",
]  # fmt: skip
ODD = st.text(st.characters(), max_size=60)
PATHS = st.lists(
    st.sampled_from(
        [
            "..",
            ".",
            "",
            "T20",
            "M 31",
            "20261120",
            "2026-11-20_observation_x",
            "\\",
            "Masters",
            "CALIBRATION FILES",
            "M 94_sub",
            "CALI_FRAME",
            "dark",
            "cam_0",
            "LIGHT",
            "9999-99-99",
            "DWARF_RAW_TELE_x_EXP_1_GAIN_2_9999-99-99-99-99-99",
            "01-images-initial",
        ]
    )
    | ODD,
    min_size=1,
    max_size=5,
).map("/".join)


@SEED
@given(
    path=PATHS,
    name=st.sampled_from(NAMES) | ODD,
    facts=st.dictionaries(
        st.sampled_from(["OBJECT", "IMAGETYP", "DATE-OBS", "INSTRUME", "EXPTIME", "GAIN"]), ODD
    ),
)
def test_any_listing_makes_batches_with_good_keys(
    path: str, name: str, facts: dict[str, str]
) -> None:
    files = [RemoteFile(f"{path}/{name}", None, None, facts)]
    rules = [kind.place for kind in KINDS.values()]
    rules.append(partial(itelescope.place, frames=("calibrated", "raw", "masters")))
    for place in rules:
        for batch in group("s", files, lambda file, place=place: place(file, TIMEZONE)):  # type: ignore[misc]
            assert not set(batch.key) & set("|,[]/ \\")
            assert batch.key.isprintable()
            assert len(batch.key) < 255
            assert batch.digest


@SEED
@given(st.text(st.characters(categories=["L", "N", "S", "P"]), max_size=300))
def test_keys_stay_short(target: str) -> None:
    key = batch_key(Placement(FrameKind.LIGHT, dt.date(2026, 1, 1), target, target))
    assert len(key) < 150


@SEED
@given(PATHS | st.binary(max_size=400).map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_a_path_is_safe_or_refused(path: str) -> None:
    for made in (safe_or_none(path), quarantine_path(path)):
        if made is None:
            continue
        assert not made.is_absolute()
        assert all(part not in ("", ".", "..") and "/" not in part for part in made.parts)
        assert all(part.isprintable() and len(part.encode()) <= 250 for part in made.parts)
    if safe_or_none(path) is not None:
        assert str(safe_or_none(path)) == path, "letter by letter the same"


def safe_or_none(path: str) -> PurePosixPath | None:
    try:
        return safe_path(path)
    except UnsafeName:
        return None


@pytest.mark.parametrize(
    "path",
    ["../a", "/a", "a/../b", "a\\..\\b", "a//b", "a\0b", "a\nb", "\u202egnp.fits", ".lock",
     "x" * 300, "a/.incoming/b", "caf\udce9.fits", "/".join(["c" * 200] * 9)],
)  # fmt: skip
def test_harmful_names(path: str) -> None:
    with pytest.raises(UnsafeName):
        safe_path(path)


@pytest.mark.parametrize("path", ["a b/c d.fits", "Ω Cen/α.fits", "a;rm -rf ~.fits", "x[1]{2}.fit"])
def test_odd_but_harmless_names(path: str) -> None:
    assert str(safe_path(path)) == path


def test_versions() -> None:
    path = PurePosixPath("a/img.fits.fz")
    assert [str(versioned(path, n)) for n in (1, 2)] == ["a/img.fits.fz", "a/img~2.fits.fz"]
    assert stem("a.FIT.zip") == "a.FIT"


@pytest.mark.parametrize(
    ("line", "name", "kind", "size", "modified"),
    [
        ("-rw-r--r--   1 ftp ftp  8640 Nov 20 08:14 a b.fits", "a b.fits", "file", 8640,
         "2026-11-20 08:14"),
        ("-rw-r--r--   1 ftp ftp  8640 Dec 31 23:59 a.fits", "a.fits", "file", 8640,
         "2025-12-31 23:59"),
        ("-rw-r--r--   1 ftp ftp  8640 Feb 29 10:00 a.fits", "a.fits", "file", 8640,
         "2024-02-29 10:00"),
        ("-rw-r--r--   1 ftp       8640 Feb 28  2019 a.fits", "a.fits", "file", 8640,
         "2019-02-28 00:00"),
        ("drwxr-xr-x+  2 0   0     4096 Nov 21 11:00 M 31", "M 31", "dir", None,
         "2026-11-21 11:00"),
        ("lrwxrwxrwx   1 0   0        9 Nov 20 11:00 x -> /etc", "x -> /etc", "other", None,
         "2026-11-20 11:00"),
        ("11-20-26  08:14PM       <DIR>          My folder", "My folder", "dir", None,
         "2026-11-20 20:14"),
        ("11-20-2026  12:14AM             8640 a.fits", "a.fits", "file", 8640,
         "2026-11-20 00:14"),
    ],
)  # fmt: skip
def test_list_lines(line: str, name: str, kind: str, size: int | None, modified: str) -> None:
    entry = parse_list(line, NOW)
    assert entry is not None
    assert (entry.name, entry.kind, entry.size_bytes) == (name, kind, size)
    assert entry.modified_utc == dt.datetime.fromisoformat(f"{modified}+00:00")


def test_mlsd_lines() -> None:
    entry = parse_mlsd("Type=file;Size=10;Modify=20261120220000.123; a ; b.fits")
    assert entry is not None
    assert (entry.name, entry.kind, entry.size_bytes) == ("a ; b.fits", "file", 10)
    assert entry.modified_utc == dt.datetime(2026, 11, 20, 22, 0, 0, 123000, tzinfo=dt.UTC)
    assert parse_time("20261340220000") is None
    assert parse_mlsd("type=cdir;modify=20261120220000; .").kind == "other"  # type: ignore[union-attr]


@SEED
@given(ODD | st.sampled_from(["type=file;size=9; x", "-rw-r--r-- 1 a b 9 Feb 30 99:99 x"]))
def test_any_line_is_an_entry_or_none(line: str) -> None:
    for entry in (parse_mlsd(line), parse_list(line, NOW)):
        assert entry is None or (entry.name and entry.kind in ("file", "dir", "other"))


LINES = [
    '{"file": "a.fits", "size": 1, "sha256": "AB", "time": "x"}',
    '{"file": "b", "size": "1", "sha256": ""}',
    *("[1]", "{", '"x"', "null", "[" * 5000),
]


@SEED
@given(st.lists(st.sampled_from(LINES) | ODD))
def test_a_pi_manifest_with_any_lines(lines: list[str]) -> None:
    files = parse_manifest("2026-11-20", lines, done=False)
    assert [(f.path, f.size_bytes, f.sha256) for f in files] == (
        [("2026-11-20/a.fits", 1, "ab")] if LINES[0] in lines else []
    )


def test_a_file_that_ages_is_not_changed() -> None:
    minute = dt.datetime(2026, 5, 1, 22, 14, tzinfo=dt.UTC)
    day = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    assert same_time(minute, day)
    assert same_time(minute, None)
    assert not same_time(minute, minute + dt.timedelta(minutes=1))
    assert not same_time(day, day + dt.timedelta(days=1))
