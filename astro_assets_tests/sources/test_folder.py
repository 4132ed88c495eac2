"""A folder of N.I.N.A. and others: every format, what names say, and the lane that follows."""

import datetime as dt
import gzip
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.errors import ListingFailed, SourceUnreachable, TransferCut
from astro_assets.frame import FrameKind
from astro_assets.settings import Settings, load_settings
from astro_assets.sim.cameras import NGC_7000
from astro_assets.sim.session import simulate_session
from astro_assets.sources import folder
from astro_assets.sources.batches import look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.folder import FolderTransport
from astro_assets.sources.folder_names import place
from astro_assets.sources.kinds import connect
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.protocol import RemoteFile
from astro_assets.steps import calibrate, masters, solve, stack
from astro_assets.steps.recipe import recipe_of
from astro_assets.store import Store, read_image
from astro_assets_tests.formats.files import counts, write_dng, write_tiff, write_xisf
from astro_assets_tests.sources.conftest import Kept, frame, put

ZONE = "Europe/Amsterdam"
NIGHT = "M 31/2026-11-20"


def remote(path: str, **facts: str) -> RemoteFile:
    return RemoteFile(path, 1, dt.datetime(2026, 11, 22, 22, tzinfo=dt.UTC), facts)


# What names say where headers say nothing


@pytest.mark.parametrize(
    ("path", "kind", "target", "night", "facts"),
    [
        (f"{NIGHT}/LIGHT/2026-11-21_01-45-10_Ha_-10.00_180.00s_0001.fits", FrameKind.LIGHT, "M 31",
         "2026-11-20", {"EXPTIME": "180.00", "FILTER": "Ha", "OBJECT": "M 31"}),
        (f"{NIGHT}/DARK/2026-11-21_05-45-10__-10.00_180.00s_0001.xisf", FrameKind.DARK, None,
         "2026-11-20", {"EXPTIME": "180.00"}),
        ("2026-11-20/FLAT/Red/a.tif", FrameKind.FLAT, None, "2026-11-20", {}),
        ("2026-11-20/BIAS/a.cr2", FrameKind.BIAS, None, "2026-11-20", {}),
        ("darks/a.NEF", FrameKind.DARK, None, "2026-11-22", {}),
        ("2026-11-20/DARKFLAT/a.fits", FrameKind.DARK, None, "2026-11-20", {}),
        ("2026-11-20/SNAPSHOT/a.fits", FrameKind.OTHER, None, "2026-11-20", {}),
        ("M 31/LIGHT/2026-11-20/a.dng", FrameKind.LIGHT, "M 31", "2026-11-20", {}),
        ("deep/er/a.fits", FrameKind.LIGHT, "unknown", "2026-11-22", {}),
        ("9999-99-99/LIGHT/a.fits", FrameKind.LIGHT, "unknown", "2026-11-22", {}),
    ],
)  # fmt: skip
def test_folders_as_nina_makes_them(
    path: str, kind: FrameKind, target: str | None, night: str, facts: dict[str, str]
) -> None:
    placement = place(remote(path), ZONE)
    assert (placement.kind, placement.target) == (kind, target)
    assert placement.night.isoformat() == night
    assert facts.items() <= placement.facts.items()


def test_a_header_is_believed_before_a_folder() -> None:
    told = {"IMAGETYP": "Dark Frame", "OBJECT": "M 42", "DATE-OBS": "2026-11-25T22:00:00"}
    placement = place(remote(f"{NIGHT}/LIGHT/a.fits", **told), ZONE)
    assert placement.kind is FrameKind.DARK
    assert placement.night == dt.date(2026, 11, 25)
    light = place(remote(f"{NIGHT}/DARK/a.fits", **told | {"IMAGETYP": "LIGHT"}), ZONE)
    assert (light.kind, light.target) == (FrameKind.LIGHT, "M 42")


def test_a_camera_s_clock_is_the_observer_s() -> None:
    placement = place(remote("LIGHT/a.cr2", **{"DATE-LOC": "2026-11-21T01:30:00"}), ZONE)
    assert placement.night == dt.date(2026, 11, 20)
    assert placement.facts["DATE-OBS"] == "2026-11-21T00:30:00"


def test_a_ready_made_master_is_a_set_of_its_own_and_a_stacked_picture_is_left() -> None:
    dark = place(remote("a.xisf", IMAGETYP="Master Dark", EXPTIME="300"), ZONE)
    assert (dark.kind, dark.configuration) == (FrameKind.DARK, "master_300s")
    assert place(remote("a.xisf", IMAGETYP="Master Light"), ZONE).kind is FrameKind.OTHER


# Listing and fetching


def settings_of(tmp_path: Path, folder: Path) -> Settings:
    text = (
        f'root = "data"\n[site]\nname = "a"\nlatitude_deg = 52\nlongitude_deg = 5\n'
        f'timezone = "{ZONE}"\n[[sources]]\nname = "nina"\nkind = "folder"\npath = "{folder}"\n'
    )
    return load_settings(put(tmp_path / "observatory.toml", text))


def fetched(settings: Settings) -> dict[str, Manifest]:
    source, store = settings.source("nina"), Store(settings.root)
    return {
        batch.key: fetch_batch(partial(connect, source, settings.secrets), batch, store)
        for batch in look(source, settings)
    }


def test_every_format_is_listed_with_what_it_says(tmp_path: Path) -> None:
    root = tmp_path / "nina"
    cards = {"OBJECT": "M 31", "EXPTIME": 180.0, "IMAGETYP": "LIGHT"}
    write_xisf(root / "a.XISF", counts(1), **cards)
    write_dng(root / "b.dng", counts(2))
    write_tiff(root / "c.tiff", counts(3))
    put(root / "d.fits.gz", gzip.compress(frame(4, OBJECT="M 42")))
    put(root / "e.FTS", frame(5, OBJECT="M 43"))
    put(root / "f.cr3", b"no raw file")
    put(root / "g.jpg", b"a picture")
    put(root / ".h.fits", frame(6))
    (root / "link.fits").symlink_to(root / "e.FTS")
    with FolderTransport("nina", root) as far:
        files = {file.path: file.facts for file in far.list()}
    assert set(files) == {"a.XISF", "b.dng", "c.tiff", "d.fits.gz", "e.FTS", "f.cr3"}
    assert files["a.XISF"]["OBJECT"] == "M 31"
    assert (files["b.dng"]["EXPTIME"], files["b.dng"]["INSTRUME"]) == ("30", "Roof cam")
    assert files["d.fits.gz"]["OBJECT"] == "M 42"
    assert files["e.FTS"]["OBJECT"] == "M 43"
    assert files["f.cr3"] == {}, "it is listed all the same, so that the fetch sets it aside"


def test_good_files_land_and_broken_ones_are_set_aside(tmp_path: Path) -> None:
    root = tmp_path / "nina" / NIGHT / "LIGHT"
    good = {
        write_xisf(root / "a.xisf", counts(1)),
        write_dng(root / "b.dng", counts(2)),
        write_tiff(root / "c.tif", counts(3)),
    }
    put(root / "d.xisf", write_xisf(tmp_path / "whole.xisf", counts(4)).read_bytes()[:5000])
    put(root / "e.cr2", b"II*\0" + bytes(2000))
    settings = settings_of(tmp_path, tmp_path / "nina")
    manifests = fetched(settings).values()
    landed = {f.file.path.rsplit("/", 1)[1] for m in manifests for f in m.frames()}
    assert landed == {path.name for path in good}
    reasons = {r.path.rsplit("/", 1)[1]: r.reason for m in manifests for r in m.quarantined}
    assert set(reasons) == {"d.xisf", "e.cr2"}
    assert "is cut" in reasons["d.xisf"]


def test_a_second_look_reads_only_what_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = {"IMAGETYP": "Light Frame", "DATE-OBS": "2026-11-20T22:00:00"}
    for name in ("a", "b"):
        (tmp_path / f"{name}.fits").write_bytes(frame(1, OBJECT="M 31", **night))
    settings = here(tmp_path)
    first = look(settings.source("attic"), settings)
    read: list[str] = []
    really = folder.hdus
    monkeypatch.setattr(folder, "hdus", lambda *given: read.append(given[2]) or really(*given))
    assert look(settings.source("attic"), settings) == first
    assert read == []
    changed = tmp_path / "b.fits"
    changed.write_bytes(frame(1, OBJECT="M 33", **night))
    os.utime(changed, (1e9, 1e9))
    (m31, m33) = look(settings.source("attic"), settings)
    assert read == [str(changed)]
    assert [batch.target for batch in (m31, m33)] == ["M 31", "M 33"]
    assert m31.digest != first[0].digest
    changed.unlink()
    assert [batch.target for batch in look(settings.source("attic"), settings)] == ["M 31"]


def here(root: Path) -> Settings:
    """Settings for a folder source of that place."""
    file = root / "observatory.toml"
    file.write_text(
        f'root = "data"\n[site]\nname = "Home"\nlatitude_deg = 53\nlongitude_deg = 6\n'
        f'timezone = "{ZONE}"\n[[sources]]\nname = "attic"\nkind = "folder"\npath = "."\n'
    )
    return load_settings(file)


def test_a_folder_that_is_not_there_or_not_readable(tmp_path: Path) -> None:
    with (
        pytest.raises(SourceUnreachable, match="mount it, or correct its path"),
        FolderTransport("nina", tmp_path / "none"),
    ):
        pass
    if os.getuid() == 0:
        return  # nothing is forbidden to root
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with pytest.raises(ListingFailed), FolderTransport("nina", tmp_path) as far:
        far.list()


def test_a_file_that_grows_while_it_is_copied(tmp_path: Path) -> None:
    path = put(tmp_path / "a.fits", frame(1))

    class Growing(Kept):
        def write(self, chunk: bytes | memoryview) -> int:
            with path.open("ab") as file:
                file.write(b"more")
            return super().write(chunk)

    with FolderTransport("nina", tmp_path) as far:
        (file,) = far.list()
        with pytest.raises(TransferCut, match="changed while it was copied"):
            far.download(file, Growing())


# Into the lane


def test_lights_in_xisf_become_a_solved_stack(tmp_path: Path) -> None:
    session = simulate_session(seed=5, lights=3, field=NGC_7000)
    for number, light in enumerate(session.lights):
        write_xisf(
            tmp_path / f"nina/NGC 7000/2026-11-20/LIGHT/{number}.xisf",
            np.asarray(light.counts_adu, np.uint16),
            OBJECT="NGC 7000", DATE_OBS=f"2026-11-20T21:0{number}:00", EXPTIME=180.0,
            FILTER="Green", INSTRUME="Attic camera", GAIN=100, EGAIN=1.4, SCALE=8.2,
            RA=NGC_7000.ra_deg, DEC=NGC_7000.dec_deg, IMAGETYP="LIGHT",
        )  # fmt: skip
    settings = settings_of(tmp_path, tmp_path / "nina")
    (key,) = fetched(settings)
    store, source = Store(settings.root), settings.source("nina")
    calibrate.calibrate_session(store, "nina", key, recipe_of(source), None)
    solved = solve.solve_session(store, "nina", key, settings.limits, settings.solving, print)
    assert solved.figures["solved"] == 3
    stack.stack_session(store, "nina", key, settings.solving)
    header = fits.getheader(store.stacks("nina", key) / "Green.fits")
    assert header["CTYPE1"].startswith("RA---TAN")


def test_camera_raw_is_corrected_with_camera_raw(tmp_path: Path) -> None:
    """The black level goes off lights and darks alike, so that it is taken off once."""
    rng = np.random.default_rng(7)
    dark = rng.integers(20, 60, (64, 96))
    sky, black = 900, 512
    root = tmp_path / "nina" / NIGHT
    for number in range(3):
        noise = rng.integers(0, 3, (64, 96))
        taken = f"2026:11:20 22:1{number}:00"
        write_dng(root / f"LIGHT/{number}.dng", (black + sky + dark + noise).astype(np.uint16),
                  black=black, taken=taken)  # fmt: skip
        write_dng(root / f"DARK/{number}.dng", (black + dark + noise).astype(np.uint16),
                  black=black, taken=taken)  # fmt: skip
    settings = settings_of(tmp_path, tmp_path / "nina")
    sets = {manifest.kind: key for key, manifest in fetched(settings).items()}
    store, source = Store(settings.root), settings.source("nina")
    assert sets[FrameKind.DARK] == "2026-11-20_dark_Roof-cam_30s_gain800"
    masters.make_master(store, "nina", sets[FrameKind.DARK], FrameKind.DARK, None)
    session = sets[FrameKind.LIGHT]
    assert session == "2026-11-20_M31_Roof-cam"
    calibrate.calibrate_session(store, "nina", session, recipe_of(source), None)
    for path in store.calibrated("nina", session).glob("*.fits"):
        product = read_image(path)
        assert float(np.median(product.image)) == pytest.approx(sky, abs=2)
        assert product.header["BAYERPAT"] == "RGGB"
        assert product.header["DATE-OBS"].startswith("2026-11-20T21:1")
