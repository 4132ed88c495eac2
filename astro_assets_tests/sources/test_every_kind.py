"""Each kind from listing to published frames, over its real protocol."""

from pathlib import Path

import pytest

from astro_assets.frame import FrameKind
from astro_assets_tests.sources.conftest import (
    NIGHT,
    T20,
    VESPERA,
    Night,
    add_itelescope,
    frame,
    itelescope_name,
    put,
)

VESPERA_DARK = f"{NIGHT}_dark_Vespera_{VESPERA[11:19].replace('-', '')}"


def tree(folder: Path) -> dict[str, bytes]:
    """What a user finds: path and bytes of every visible file."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name != "manifest.json"
    }


def test_itelescope(night: Night) -> None:
    manifests = night.fetch("itelescope")
    assert list(manifests) == [f"{NIGHT}_NGC7000_T20"]
    published = tree(night.store.raw("itelescope", f"{NIGHT}_NGC7000_T20"))
    assert published == {f"{T20}/{itelescope_name(n)}": frame(n) for n in (1, 2)}
    facts = [dict(frame.facts) for frame in manifests[f"{NIGHT}_NGC7000_T20"].frames()]
    assert facts[0]["OBJECT"] == "NGC 7000"
    assert (facts[0]["TELESCOP"], facts[0]["FILTER"], facts[0]["EXPTIME"]) == ("T20", "Red", "60")


@pytest.mark.parametrize("mlsd", [True, False])
def test_vespera(tmp_path: Path, night: Night, mlsd: bool) -> None:
    if not mlsd:
        night.observatory.stop("vespera")
        night.observatory._servers["vespera"]._mlsd = False  # type: ignore[attr-defined]
        night.observatory.start("vespera")
    manifests = night.fetch("vespera")
    assert list(manifests) == [f"{NIGHT}_M31_Vespera", VESPERA_DARK]
    lights = tree(night.store.raw("vespera", f"{NIGHT}_M31_Vespera"))
    stage = f"{VESPERA}/01-images-initial"
    assert lights == {
        f"{stage}/img-000{n}{ending}": content
        for n in (1, 2)
        for ending, content in ((".fits", frame(10 + n)), (".json", b"{}"))
    }
    darks = tree(night.store.raw("vespera", VESPERA_DARK))
    assert darks == {f"{VESPERA}/img-0001-dark.fits": frame(20)}
    assert manifests[VESPERA_DARK].kind is FrameKind.DARK


def test_telescope_org(night: Night) -> None:
    manifests = night.fetch("telescope_org")
    assert list(manifests) == [f"{NIGHT}_M45_Cluster"]
    published = tree(night.store.raw("telescope_org", f"{NIGHT}_M45_Cluster"))
    assert published == {
        f"423183/423183-{colour}.fits": frame(30 + number, FILTER=colour)
        for number, colour in enumerate("BVR")
    }
    facts = next(iter(manifests[f"{NIGHT}_M45_Cluster"].frames())).facts
    assert facts["EXPTIME"] == "60"
    assert (facts["OBJCTRA"], facts["OBJCTDEC"]) == ("03 47 00.00", "+24 07 00.00")


def test_pi(night: Night) -> None:
    batches = {batch.key: batch for batch in night.look("pi")}
    lights, darks = f"{NIGHT}_M42_ZWO-ASI294MC", f"{NIGHT}_dark_ZWO-ASI294MC_10s_gain120"
    assert list(batches) == [lights, darks]
    assert batches[lights].closed
    night.fetch("pi")
    published = tree(night.store.raw("pi", lights))
    assert published == {f"{NIGHT}/light-{n}.fits": frame(40 + n) for n in (1, 2)}
    assert tree(night.store.raw("pi", darks)) == {f"{NIGHT}/dark-1.fits": frame(50)}


def test_folder(night: Night, tmp_path: Path) -> None:
    header = {
        "OBJECT": "M 94", "INSTRUME": "Seestar S50", "DATE-OBS": "2026-11-21T03:00:00",
        "IMAGETYP": "Light",
    }  # fmt: skip
    put(tmp_path / "nina/deep/er/a.FIT", frame(70, **header))
    put(tmp_path / "nina/broken.fits", frame(71)[:3000])
    put(tmp_path / "nina/notes.txt", "no frame")
    text = f'\n[[sources]]\nname = "nina"\nkind = "folder"\npath = "{tmp_path / "nina"}"\n'
    night = night.with_more_settings(text)
    batches = {batch.key: batch for batch in night.look("nina")}
    session = f"{NIGHT}_M94_Seestar-S50"
    assert [f.path for f in batches[session].files] == ["deep/er/a.FIT"]
    manifests = night.fetch("nina")
    assert tree(night.store.raw("nina", session)) == {"deep/er/a.FIT": frame(70, **header)}
    (broken,) = [m for key, m in manifests.items() if key != session]
    assert "unknown" in broken.batch
    assert "cut" in broken.quarantined[0].reason
    kept = night.store.quarantine("nina") / broken.batch / "broken.fits"
    assert kept.read_bytes() == frame(71)[:3000]


@pytest.mark.parametrize("source", ["itelescope", "vespera", "telescope_org", "pi"])
def test_a_second_fetch_downloads_nothing(night: Night, source: str) -> None:
    first = night.fetch(source)
    downloads = images(night, source)
    logins = night.observatory.requests[source].logins
    second = night.fetch(source)
    assert second == first
    assert downloads
    assert images(night, source) == downloads
    assert set(downloads.values()) == {1}
    assert night.observatory.requests[source].logins == logins + 1, "only the look logs in"


def images(night: Night, source: str) -> dict[str, int]:
    """How often each image was downloaded; a Pi's lists are read at each look."""
    counts = night.observatory.requests[source].downloads
    return {path: n for path, n in counts.items() if not path.endswith((".json", ".jsonl"))}


def test_one_login_serves_many_downloads(night: Night) -> None:
    for sequence in range(3, 12):
        add_itelescope(night.served, sequence)
    (batch,) = night.look("itelescope")
    before = night.observatory.requests["itelescope"].logins
    night.fetch("itelescope")
    # One for the look within, one for all files.
    assert night.observatory.requests["itelescope"].logins == before + 2
    assert len(batch.files) == 11


def test_what_comes_later_is_fetched_alone(night: Night) -> None:
    (before,) = night.look("itelescope")
    night.fetch("itelescope")
    add_itelescope(night.served, 3)
    (after,) = night.look("itelescope")
    assert after.key == before.key
    assert after.digest != before.digest
    manifest = night.fetch("itelescope")[after.key]
    assert len(list(manifest.frames())) == 3
    assert set(night.observatory.requests["itelescope"].downloads.values()) == {1}
