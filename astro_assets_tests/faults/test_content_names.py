"""Names: odd ones are found or set aside, equal ones all kept, and none leads out of the tree."""

import bz2
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from astropy.io import fits

from astro_assets_tests.faults.far import NIGHT, Far, Outcome
from astro_assets_tests.faults.lying_ftp import Lies, lying_ftp
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.sources.conftest import frame, put, sha256, zipped

GOOD = frame(1)


def told(cell: Cell, outcome: Outcome) -> None:
    """The reasons without paths of far files, which are as odd as their names."""
    for reason in sorted({reason.partition(" is no safe name ")[2] or reason
                          for reason in outcome.quarantined.values()}):  # fmt: skip
        cell.saw(f"quarantined: {reason}")


@cells(27, "FVS", "only that one Q")
@pytest.mark.parametrize(
    "name", ["caf\udce9.fits", "a\u202egnp.fits"], ids=["Latin-1", "direction"]
)
def test_letters_that_nobody_can_read(far: Far, cell: Cell, name: str) -> None:
    good = far.put("good.fits", GOOD)
    far.put(name, frame(2))
    outcome = far.fetch()
    assert outcome.published == {good: GOOD}
    (reason,) = outcome.quarantined.values()
    assert "rename it at its source" in reason
    assert far.kept() == [frame(2)]
    assert not outcome.failures
    told(cell, outcome)


@cells(27, "FVS", "only that one Q")
def test_line_ends_in_names(far: Far, cell: Cell) -> None:
    """An FTP server lists a name with a line feed as two lines, or not at all."""
    good = far.put("good.fits", GOOD)
    for name in ("line\nfeed.fits", "carriage\rreturn.fits", "both\r\n.fits"):
        far.put(name, frame(2))
    outcome = far.fetch()
    assert outcome.published == {good: GOOD}
    assert all("name" in reason for reason in outcome.quarantined.values())
    assert not outcome.failures
    told(cell, outcome)
    cell.saw("the good one lands, nothing else is published")


@cells(27, "FV", "only those Q")
def test_control_letters_in_a_listing(far: Far, cell: Cell, tmp_path: Path) -> None:
    good = far.put("good.fits", GOOD)
    names = (b"calibrated-nul\0.fits", b"calibrated-cr\r.fits", b"calibrated-bell\x07.fits")
    with lying_ftp(far, tmp_path / "ftp", Lies(names=names, content=frame(2))):
        cell.server = far.server
        outcome = far.fetch()
    assert outcome.published == {good: GOOD}
    assert len(outcome.quarantined) == 3
    assert all("name" in reason for reason in outcome.quarantined.values())
    assert not outcome.failures
    told(cell, outcome)


@cells(27, "S", "only those Q")
def test_control_letters_in_a_manifest(far: Far, cell: Cell) -> None:
    good = far.put("good.fits", GOOD)
    for name in ("nul\0.fits", "bell\x07.fits"):
        announce(far, name, GOOD)
    outcome = far.fetch()
    assert outcome.published == {good: GOOD}
    assert len(outcome.quarantined) == 2
    assert not outcome.failures
    told(cell, outcome)


def announce(far: Far, name: str, content: bytes) -> None:
    """A line in the Pi's manifest for a file that nobody has written."""
    line = {
        "file": name, "size": len(content), "sha256": sha256(content),
        "time": f"{NIGHT}T21:00:00+00:00", "facts": {"OBJECT": "M 31"},
    }  # fmt: skip
    with (far.served / NIGHT / "manifest.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


@cells(28, "FVHS", "all found")
def test_every_spelling_of_an_ending(far: Far, cell: Cell) -> None:
    fpacked, tiff = spellings()
    contents = {
        "a.FIT": frame(1), "b.fts": frame(2), "c.Fits": frame(3), "d.fits.fz": fpacked,
        "e.tiff": tiff, "f.TIF": tiff, "g.fits.gz": gzip.compress(frame(4), mtime=0),
        "h.fit.bz2": bz2.compress(frame(5)),
    }  # fmt: skip
    if far.name == "itelescope":  # whose TIFFs, if there are any, come in archives too
        contents["h.fit.zip"] = zipped({"calibrated-h.tiff": contents.pop("e.tiff")})
        contents["i.FIT.ZIP"] = zipped({"calibrated-i.TIF": contents.pop("f.TIF")})
    paths = {far.put(name, content): content for name, content in contents.items()}
    if far.name == "itelescope":
        paths = {path.replace("h.fit.zip", "h.tiff").replace("i.FIT.ZIP", "i.TIF"): content
                 for path, content in paths.items()}  # fmt: skip
        paths |= {path: tiff for path in paths if path.lower().endswith(("tif", "tiff"))}
    outcome = far.fetch()
    assert not outcome.quarantined
    assert not outcome.failures
    assert outcome.published == paths
    cell.saw(f"{len(paths)} of {len(contents)} spellings")


def spellings() -> tuple[bytes, bytes]:
    """An fpacked FITS and a TIFF."""
    pixels = np.random.default_rng(1).integers(0, 999, (40, 60), dtype=np.uint16)
    fpacked, tiff = io.BytesIO(), io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels)]).writeto(fpacked)
    tifffile.imwrite(tiff, pixels, photometric="minisblack")
    return fpacked.getvalue(), tiff.getvalue()


@cells(29, "FVHS", "K")
def test_names_that_differ_by_case_only(far: Far, cell: Cell) -> None:
    names = ("img.fits", "IMG.fits", "Img.FITS")
    paths = {far.put(name, frame(number)): frame(number) for number, name in enumerate(names)}
    outcome = far.fetch()
    assert outcome.published == paths
    assert len(paths) == 3
    assert not outcome.quarantined
    cell.saw("all three kept")


@cells(30, "V", "K")
def test_one_name_in_two_folders_and_two_darks(far: Far, cell: Cell) -> None:
    session = f"{NIGHT}_21-10-00_observation_M31"
    later = f"{NIGHT}_23-50-00_observation_M31"
    contents = {
        f"{session}/01-images-initial/img-0001.fits": frame(1),
        f"{session}/02-images-initial/img-0001.fits": frame(2),
        f"{later}/01-images-initial/img-0001.fits": frame(3),
        f"{session}/img-0001-dark.fits": frame(4),
        f"{later}/img-0001-dark.fits": frame(5),
    }
    for path, content in contents.items():
        put(far.served / path, content)
    outcome = far.fetch()
    assert outcome.published == contents
    assert not outcome.quarantined
    cell.saw("three frames and two darks of equal names, all kept")


CLIMBING = ("../../calibrated-evil.fits", "/calibrated-evil.fits", "calibrated-..\\..\\evil.fits",
            "a/../../../calibrated-evil.fits", "x" * 300 + ".fits")  # fmt: skip


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` that is not the project's own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_inside(far: Far, before: dict[str, bytes], folder: Path, outcome: Outcome) -> None:
    """Only below the root anything has come to be, and all of that is where it belongs."""
    root = str(far.root.relative_to(folder))
    after = {path: content for path, content in tree(folder).items() if not path.startswith(root)}
    settings = {"observatory.toml", ".env", "known_hosts"}
    assert {p: c for p, c in after.items() if p not in settings} == {
        p: c for p, c in before.items() if p not in settings and not p.startswith(root)
    }
    assert not list(far.root.rglob("*evil*.fits")) or all(
        "quarantine" in path.parts and "unsafe-names" in path.parts
        for path in far.root.rglob("*evil*.fits")
    )
    assert not outcome.failures


@cells(31, "FV", "Q, nothing outside touched")
def test_a_listing_with_names_that_lead_astray(far: Far, cell: Cell, tmp_path: Path) -> None:
    good = far.put("good.fits", GOOD)
    long = b"calibrated-" + b"x" * 300 + b".fits"
    names = (*(name.encode() for name in CLIMBING[:-1]), long)
    with lying_ftp(far, tmp_path / "ftp", Lies(names=names, content=frame(2))):
        cell.server = far.server
        before = tree(tmp_path)
        outcome = far.fetch()
    assert outcome.published == {good: GOOD}
    assert len(outcome.quarantined) == len(names)
    assert all("is no safe name" in reason for reason in outcome.quarantined.values())
    assert_inside(far, before, tmp_path, outcome)
    told(cell, outcome)


@cells(31, "S", "Q, nothing outside touched")
def test_a_manifest_with_names_that_lead_astray(far: Far, cell: Cell, tmp_path: Path) -> None:
    good = far.put("good.fits", GOOD)
    outside = put(far.served.parent / "calibrated-evil.fits", frame(2))
    before = tree(tmp_path)
    for name in (*CLIMBING, str(outside)):
        announce(far, name, frame(2))
    outcome = far.fetch()
    assert outcome.published == {good: GOOD}
    assert len(outcome.quarantined) == len(CLIMBING) + 1
    assert_inside(far, before, tmp_path, outcome)
    told(cell, outcome)


@cells(31, "H", "Q, nothing outside touched")
@pytest.mark.parametrize("name", CLIMBING)
def test_an_archive_with_names_that_lead_astray(
    far: Far, cell: Cell, tmp_path: Path, name: str
) -> None:
    archive = far.put_download(zipped({"good.fits": GOOD, name: frame(2)}))
    before = tree(tmp_path)
    outcome = far.fetch()
    assert outcome.published == {}
    assert set(outcome.quarantined) == {archive}
    assert "lead astray" in outcome.quarantined[archive]
    assert_inside(far, before, tmp_path, outcome)
    cell.saw("quarantined: it holds a file whose name would lead astray")


@cells(31, "FVS", "Q, or not taken for a file at all")
def test_a_link_on_the_far_side(far: Far, cell: Cell, tmp_path: Path) -> None:
    good = far.put("good.fits", GOOD)
    secret = put(tmp_path / "outside/secret.fits", frame(2))
    far.file("link.fits").symlink_to(secret)
    if far.name == "pi":
        announce(far, "link.fits", frame(2))
    before = tree(tmp_path)
    outcome = far.fetch()
    assert outcome.published == {good: GOOD}
    assert set(outcome.quarantined) == ({far.path("link.fits")} if far.name == "pi" else set())
    assert_inside(far, before, tmp_path, outcome)
    told(cell, outcome)
    cell.saw("what the link leads to is not fetched")
