"""A server that tells no more than the day of old files: what was fetched is not fetched again."""

import datetime as dt
from functools import partial
from pathlib import Path

import pytest

from astro_assets.settings import Settings, load_settings
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.sources.manifest import FILE_NAME, Manifest
from astro_assets.store import Store
from astro_assets_tests.sources.conftest import frame, put
from astro_assets_tests.sources.scripted_ftp import Script, ScriptedFtp

_FOLDER = b"2026-03-20_21-10-00_observation_M31/01-images-initial"
_FRAME = frame(1)
_LAST_YEAR = dt.datetime.now(dt.UTC).year - 1


def line(when: str, size: int = len(_FRAME)) -> bytes:
    return f"-rw-r--r-- 1 ftp ftp {size} Mar 20 {when:>5} a.fits\r\n".encode()


def looked(settings: Settings) -> Batch:
    (batch,) = look(settings.source("scope"), settings)
    return batch


def fetched(settings: Settings, batch: Batch) -> Manifest:
    source = settings.source("scope")
    return fetch_batch(partial(connect, source, settings.secrets), batch, Store(settings.root))


@pytest.mark.parametrize(
    ("later", "content", "same"),
    [
        (line(str(_LAST_YEAR)), _FRAME, True),
        (line(str(_LAST_YEAR - 1)), _FRAME, False),
        (line(str(_LAST_YEAR)).replace(b"Mar 20", b"Mar 21"), _FRAME, False),
        (line(str(_LAST_YEAR), len(_FRAME) + 2880), _FRAME + bytes(2880), False),
        (line("21:11"), _FRAME, False),
    ],
    ids=["aged", "of another year", "of another day", "of another size", "of another minute"],
)
def test_what_has_only_aged_is_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    later: bytes,
    content: bytes,
    same: bool,
) -> None:
    path = b"/" + _FOLDER + b"/a.fits"
    script = Script({path: _FRAME}, mlsd=False, lines={path: line("21:10")})
    monkeypatch.setattr("astro_assets.sources.ftp.datetime", _Clock)
    with ScriptedFtp(script) as running:
        settings = load_settings(
            put(
                tmp_path / "observatory.toml",
                f'root = "{tmp_path / "data"}"\n'
                '[site]\nname = "home"\nlatitude_deg = 28.3\nlongitude_deg = -16.5\n'
                "elevation_m = 2390\n"
                'timezone = "UTC"\n'
                '[[sources]]\nname = "scope"\nkind = "vespera"\nhost = "localhost"\n'
                f'port = {running.port}\npath = "/"\n',
            )
        )
        young = looked(settings)
        assert young.files[0].modified_utc == dt.datetime(_LAST_YEAR, 3, 20, 21, 10, tzinfo=dt.UTC)
        fetched(settings, young)
        script.files[path], script.lines[path] = content, later
        old = looked(settings)
        assert (old.digest == young.digest) is same
        (settings.root / "raw/scope" / young.key / FILE_NAME).unlink()
        assert looked(settings).digest != young.digest


class _Clock(dt.datetime):
    """Some months after the file was written."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> "_Clock":
        return cls(_LAST_YEAR, 6, 1, tzinfo=tz)
