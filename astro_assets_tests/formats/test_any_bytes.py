"""Whatever bytes a file holds: it is read, or refused in one sentence."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astro_assets.errors import BrokenFile
from astro_assets.formats import keywords
from astro_assets.frame import frame_from_header
from astro_assets.sources.verify_camera_raw import verify_camera_raw
from astro_assets.sources.verify_xisf import verify_xisf
from astro_assets.steps.sidecar import sidecar_keywords
from astro_assets_tests.formats.files import counts, write_dng, write_xisf

SEED = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("models")
    dng = write_dng(folder / "a.dng", counts(1, (8, 8)), offset="+01:00").read_bytes()
    xisf = write_xisf(folder / "a.xisf", counts(1, (8, 8)), "zlib", OBJECT="M 31", EXPTIME=1.5)
    return {"dng": dng, "cr2": dng, "tif": dng, "cr3": b"\0\0\0\x18ftypcrx " + bytes(12) + dng,
            "xisf": xisf.read_bytes()}  # fmt: skip


@SEED
@given(
    ending=st.sampled_from(["dng", "cr2", "cr3", "tif", "xisf"]),
    at=st.floats(0, 1),
    patch=st.binary(max_size=40),
    kept=st.floats(0, 1),
)
def test_a_damaged_file(
    tmp_path: Path, models: dict[str, bytes], ending: str, at: float, patch: bytes, kept: float
) -> None:
    content = bytearray(models[ending])
    where = int(at * min(len(content), 4096))
    content[where : where + len(patch)] = patch
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content[: int(kept * len(content))])
    try:
        words = keywords(path)
    except BrokenFile:
        words = {}
    frame_from_header({"EXPTIME": 1, **words})
    for verify in (verify_xisf, verify_camera_raw):
        with suppress(BrokenFile):
            verify(path, path.name)


@SEED
@given(st.binary(max_size=300) | st.text(max_size=60).map(str.encode))
def test_a_sidecar(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert all(isinstance(value, str) for value in sidecar_keywords(tmp_path / "a.tif").values())
