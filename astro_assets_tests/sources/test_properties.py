"""Ten thousand names, listing lines and headers: no path leads out of the root, and whatever they
hold, nothing but the project's own errors is raised.

What belongs here: numbers. What single odd ones mean is in `test_names` and `test_whole`.
"""

import datetime as dt
import io
import itertools
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astro_assets.errors import AstroAssetsError, BrokenFile, MissingHeader, UnsafeName, Unusable
from astro_assets.frame import frame_from_header
from astro_assets.sources import verify as verify_module
from astro_assets.sources.batches import group
from astro_assets.sources.fits_units import card_value
from astro_assets.sources.ftp_listing import parse_list, parse_mlsd
from astro_assets.sources.kinds import KINDS
from astro_assets.sources.landing import publish_version, set_aside
from astro_assets.sources.paths import quarantine_path, safe_path, spelled, versioned
from astro_assets.sources.pi_manifest import parse_manifest
from astro_assets.sources.protocol import RemoteFile
from astro_assets.sources.unzip import unzip
from astro_assets.sources.verify import verify
from astro_assets.store import Store
from astro_assets_tests.sources.conftest import frame, put, sha256

ROOT = Path("/products")
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
MANY = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck]
)
"""Each draws parts and tries at least a hundred ways to put them together."""
FEW = settings(MANY, max_examples=200)
counted: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def numbers() -> Iterator[None]:
    """What the issue asks for: at least ten thousand of each that ran."""
    yield
    assert all(count >= 10_000 for count in counted.values()), counted


def some(parts: Sequence[str], count: int) -> st.SearchStrategy[list[str]]:
    """``count`` of the parts, or any text in their place."""
    return st.lists(
        st.sampled_from(parts) | st.sampled_from(parts) | TEXT, min_size=count, max_size=count
    )


TEXT = st.text(st.characters(), max_size=9) | st.binary(max_size=9).map(
    lambda raw: raw.decode("utf-8", "surrogateescape")
)
PIECES = [
    "..", ".", "", "/", "\\", "~", "$HOME", "%2e%2e", "\0", "\n", "\r\n", "\u202e", "\udce9", "|",
    "con", "nul", "a" * 260, "é", "T20", "Masters", "CALIBRATION FILES", "M 31", "20261120",
    "2026-11-20_21-10-00_observation_M31", "01-images-initial", "calibrated-", "raw-", ".fits.gz",
    "T20-observer-M 31-20261120-214501-Red-BIN1-W-60-001", ".fit.zip", "-dark", ".tiff", ".xisf",
    "DWARF_RAW_TELE_M 31_EXP_10_GAIN_80_2026-11-20-21-10-00-000", "MyWorks", "M 31_sub", ".cr2",
    "Light_M 31_10.0s_IRCUT_20261120-225435", "Astronomy", "CALI_FRAME", "423183", "0", "9" * 30,
    "\u1680", "\xa0", "\u2028", ".fit",
]  # fmt: skip
FOLDERS = ["T20/M 31/20261120/", "2026-11-20_21-10-00_observation_M31/01-images-initial/", ""]


@st.composite
def names(draw: st.DrawFn) -> list[str]:
    """Parts one behind the other, and in folders of one another."""
    parts = draw(some(PIECES, 7))
    pairs = itertools.product(parts, parts)
    folder = draw(st.sampled_from(FOLDERS))
    return [f"{folder}{a}{join}{b}" for (a, b), join in itertools.product(pairs, ("", "/", "/../"))]


UNSHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def inside(root: Path, path: PurePosixPath) -> None:
    """Not by its letters and not by its parts does it lead elsewhere."""
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert (root / path).is_relative_to(root)
    assert not any(unicodedata.category(letter) in UNSHOWN for letter in str(path))
    assert all(0 < len(part.encode()) < 256 for part in path.parts)


@MANY
@given(names())
def test_names_lead_nowhere_else(made: list[str]) -> None:
    """As a frame's path, as a version of it, in quarantine, and as a folder of its batch."""
    counted["names"] += len(made)
    for name in made:
        inside(ROOT, quarantine_path(name))
        with suppress(UnsafeName):
            path = safe_path(name)
            assert str(path) == name
            inside(ROOT, path)
            inside(ROOT, versioned(path, 12))
        spelled(name).encode()
    files = [RemoteFile(name, 9, NOW, {"OBJECT": name}) for name in made]
    for kind in KINDS.values():
        for batch in group("s", files, lambda file, k=kind: k.place(file, "Etc/GMT-14")):  # type: ignore[misc]
            inside(ROOT, PurePosixPath(batch.key))
            assert len(PurePosixPath(batch.key).parts) == 1
            assert Store(ROOT).raw("s", batch.key).parent == ROOT / "raw" / "s"


FIELDS = [
    "-rw-r--r--", "drwxr-xr-x", "lrwxrwxrwx", "1", "ftp", "8640", "99999999999999999999", "Nov",
    "Feb", "Foo", "20", "30", "0", "08:14", "24:61", "2026", "0000", "11-20-26", "13-41-2026",
    "08:14PM", "25:99AM", "<DIR>", "a b.fits", "../../x", "x -> /etc", "total 7", "\x00", "\udce9",
]  # fmt: skip
SIZES = ["0", "8640", "9" * 25, "-1", "", "<DIR>"]
DAYS = [
    "Nov 20 08:14",
    "feb 29 23:59",
    "Feb 30 24:61",
    "DEC 31  2025",
    "Abc  1  0000",
    "Jan 0 9999",
]
DOS_DAYS = ["11-20-26  08:14PM", "02-29-2026  12:00AM", "13-41-00  25:61", "00-00-0000  00:00am"]
FACTS = [
    "type=file", "Type=dir", "type=OS.unix=slink:/etc", "size=8640", "size=-1", "size=" + "9" * 25,
    "modify=20261120220000", "modify=20261340996199", "modify=20261120220000.123456789", "=", "x",
    "modify=", "type=", "perm=r", "unique=\udce9", "modify=00000000000000",
]  # fmt: skip


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Of a Unix server, of a DOS server, of MLSD, and of words that look like them."""
    shown = draw(some(PIECES, 3))
    kind = draw(st.sampled_from(FIELDS[:3]))
    sizes, days = draw(some(SIZES, 2)), draw(some(DAYS, 2))
    unix = [f"{kind}   1 ftp ftp {s} {d} {n}" for s, d, n in itertools.product(sizes, days, shown)]
    days = draw(some(DOS_DAYS, 2))
    dos = [f"{d}  {s} {n}" for d, s, n in itertools.product(days, sizes, shown)]
    facts = draw(some(FACTS, 4))
    mlsd = [
        f"{';'.join(f)}; {n}" for f, n in itertools.product(itertools.permutations(facts, 2), shown)
    ]
    words = [" ".join(each) for each in itertools.permutations(draw(some(FIELDS, 4)))]
    raw = draw(st.lists(TEXT, min_size=20, max_size=20))
    return [*unix, *dos, *mlsd, *words, *raw]


@MANY
@given(lines())
def test_listing_lines_are_entries_or_nothing(made: list[str]) -> None:
    counted["listing lines"] += len(made)
    for line in made:
        for entry in (parse_mlsd(line), parse_list(line, NOW)):
            if entry is None:
                continue
            assert entry.name
            assert entry.kind in ("file", "dir", "other")
            assert entry.kind == "other" or entry.name not in (".", "..")
            assert entry.size_bytes is None or entry.size_bytes >= 0
            inside(ROOT, quarantine_path(f"T20/{entry.name}"))
            with suppress(UnsafeName):
                inside(ROOT, safe_path(f"T20/{entry.name}"))


JSON = [
    '"a"',
    "1",
    "-1",
    "null",
    "[]",
    "{}",
    "1e999",
    "true",
    '"\\ud800"',
    '"../x"',
    "[" * 3000,
    "",
]


@MANY
@given(some(JSON, 3), some(JSON, 3), some(JSON, 3), some(PIECES, 4))
def test_a_pi_s_manifest_holds_files_or_nothing(
    sizes: list[str], hashes: list[str], facts: list[str], shown: list[str]
) -> None:
    made = [
        f'{{"file": "{name}", "size": {size}, "sha256": {sha}, "facts": {fact}, "time": {sha}}}'
        for name, size, sha, fact in itertools.product(shown, sizes, hashes, facts)
    ]
    counted["manifest lines"] += len(made)
    for file in parse_manifest("2026-11-20", [*made, *shown], done=False):
        inside(ROOT, quarantine_path(file.path))


KEYWORDS = [
    "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT", "GROUPS", "END",
    "BZERO", "BSCALE", "BLANK", "DATASUM", "CHECKSUM", "XTENSION", "EXTEND", "OBJECT", "DATE-OBS",
    "EXPTIME", "EXPOSURE", "IMAGETYP", "FILTER", "GAIN", "XBINNING", "OBJCTRA", "OBJCTDEC", "RA",
    "DEC", "CCD-TEMP", "BAYERPAT", "INSTRUME", "PEDESTAL", "CALSTAT", "XPIXSZ", "FOCALLEN", "EGAIN",
    "CDELT1", "CD1_1", "SECPIX", "HISTORY", "CONTINUE", "HIERARCH", "", "CRVAL1", "TIME-OBS",
]  # fmt: skip
VALUES = [
    "T", "F", "8", "16", "-32", "17", "0", "1", "2", "999", "-1", "99999999999999999999", "1e400",
    "nan", "inf", "-inf", "1.5D+03", "''", "'", "'M 31'", "'2026-11-20T21:00:00'", "'1/0'", "'1/3'",
    "'12 34 56'", "'99:99:99'", "'RGGB'", "'Light Frame'", "'dark'", "undefined", "/ no value",
    "32768", "0000-00-00", "'9999-12-31T23:59:60'", "'1/0/0'", "'-00:00:00'",
]  # fmt: skip
START = ["SIMPLE  =                    T", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 9"]


@MANY
@given(st.lists(st.sampled_from(KEYWORDS), min_size=6, max_size=6), some(VALUES, 6))
def test_headers_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, keywords: list[str], values: list[str]
) -> None:
    """Through the checks of a fetch, and through what the steps make of their keywords."""
    path = tmp_path_factory.getbasetemp() / "property.fits"
    for turn, length, start in itertools.product(range(6), range(1, 7), (1, 3, 4)):
        pairs = list(zip(keywords, values[turn:] + values[:turn], strict=True))[:length]
        words = dict(pairs)
        cards = [*START[:start], *(f"{keyword:8}= {value}"[:80] for keyword, value in pairs)]
        text = "".join(f"{card:80}" for card in [*cards, "END"])
        content = text.encode("latin-1", "replace")
        path.unlink(missing_ok=True)  # some file systems are slow to write over one
        path.write_bytes(content + b" " * (-len(content) % 2880) + bytes(2880))
        with suppress(BrokenFile):
            verify(path, "property.fits")
        with suppress(MissingHeader):
            read = {keyword: card_value(value) for keyword, value in words.items()}
            frame_from_header({"EXPTIME": 9.0, **read}, dict(pairs[::2]), "property.fits")
        counted["headers"] += 1


@FEW
@given(names(), st.sampled_from([0, 0o100644, 0o120777, 0o40755, 0o60000, 0xFFFF]))
def test_members_of_archives_stay_inside(
    tmp_path_factory: pytest.TempPathFactory, made_up: list[str], mode: int
) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in dict.fromkeys(made_up[::40]):
            with suppress(UnicodeEncodeError):
                entry = zipfile.ZipInfo("x")
                entry.filename = entry.orig_filename = name
                entry.external_attr = mode << 16
                archive.writestr(entry, b"x")
    home = tmp_path_factory.mktemp("archive")
    (home / "inside").mkdir()
    with suppress(Unusable):
        for path, part in unzip(put(home / "a.zip", made.getvalue()), home / "inside", "a").items():
            inside(ROOT, path)
            assert part.parent == home / "inside"
    assert {path.name for path in home.iterdir()} == {"inside", "a.zip"}


@settings(FEW, max_examples=40)
@given(names())
def test_what_is_written_is_written_inside(
    tmp_path_factory: pytest.TempPathFactory, made: list[str]
) -> None:
    """The same on a disk: published if its name is safe, and else set aside."""
    home = tmp_path_factory.mktemp("disk")
    for number, name in enumerate(made[::40]):
        content = frame(number)
        part = put(home / "part", content)
        try:
            publish_version(part, home / "root", safe_path(name), sha256(content))
        except UnsafeName:
            set_aside(part, home / "root", name, sha256(content), {"reason": spelled(name)})
    assert {path.name for path in home.iterdir()} <= {"root"}
    kept = [path.read_bytes() for path in (home / "root").rglob("*") if path.is_file()]
    assert {frame(number) for number in range(len(made[::40]))} <= set(kept)


def _tiffs() -> list[bytes]:
    pixels = np.arange(64 * 64, dtype="u2").reshape(64, 64)
    made = []
    for layout in ({}, {"bigtiff": True}, {"tile": (16, 16)}, {"byteorder": ">"}):
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, photometric="minisblack", **layout)  # type: ignore[arg-type]
        made.append(file.getvalue())
    return made


TIFFS = _tiffs()


@settings(FEW, max_examples=500)
@given(
    st.sampled_from(TIFFS),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=5)), max_size=5),
    st.integers(0, 9000),
)
def test_any_damage_to_a_tiff_is_a_sentence(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    changes: list[tuple[int, bytes]],
    length: int,
) -> None:
    for at, to in changes:
        content = content[:at] + to + content[at + len(to) :]
    path = tmp_path_factory.getbasetemp() / "property.tif"
    path.unlink(missing_ok=True)
    path.write_bytes(content[:length] or b"II")
    with pytest.MonkeyPatch.context() as patch, suppress(AstroAssetsError):
        patch.setattr(verify_module, "check_decodes", lambda *_: None)  # shown in test_decoding
        verify(path, "property.tif")
