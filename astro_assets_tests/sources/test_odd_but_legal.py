"""A thousand odd but legal files pass the checks of a fetch: no false quarantine."""

from pathlib import Path

from astro_assets.sources.unzip import unzip
from astro_assets.sources.verify import verify
from astro_assets_tests.faults.far import Servers
from astro_assets_tests.sources.conftest import put
from astro_assets_tests.sources.odd_files import odd_files

SAMPLE = 25
"""Every so many-th goes through a real server."""


def test_a_thousand_odd_but_legal_files_pass(tmp_path: Path) -> None:
    refused = {}
    count = 0
    for name, content in odd_files():
        count += 1
        path = put(tmp_path / str(count), content)
        try:
            if name.lower().endswith(".zip"):
                for member, part in unzip(path, tmp_path, name).items():
                    verify(part, str(member))
            else:
                verify(path, name)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is false
            refused[name] = repr(error)
        path.unlink()
    assert not refused, list(refused.items())[:10]
    assert count >= 1000


def test_some_of_them_through_a_real_server(tmp_path: Path) -> None:
    servers = Servers()
    try:
        far = servers.far("S", tmp_path)
        plain = (odd for odd in odd_files() if not odd[0].lower().endswith(".zip"))
        sample = {
            far.put(name, content): content
            for number, (name, content) in enumerate(plain)
            if number % SAMPLE == 0
        }
        outcome = far.fetch()
    finally:
        servers.close()
    assert not outcome.quarantined
    assert not outcome.failures
    assert outcome.published == sample
    assert len(sample) >= 40
