"""A thousand odd but legal files pass the checks of a fetch: no false quarantine."""

from pathlib import Path

from astro_assets.sources.unzip import unzip
from astro_assets.sources.verify import verify
from astro_assets_tests.sources.conftest import put
from astro_assets_tests.sources.odd_files import odd_files


def test_a_thousand_odd_but_legal_files_pass(tmp_path: Path) -> None:
    refused = {}
    count = 0
    for name, content in odd_files():
        count += 1
        path = put(tmp_path / "a", content)
        try:
            if name.lower().endswith(".zip"):
                for member, part in unzip(path, tmp_path, name).items():
                    verify(part, str(member))
            else:
                verify(path, name)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is false
            refused[name] = repr(error)
    assert not refused, list(refused.items())[:10]
    assert count >= 1000
