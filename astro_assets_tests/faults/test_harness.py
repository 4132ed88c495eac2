"""The matrix's own parts: four far sides, the proxy, the table."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astro_assets_tests.faults.far import Far, Servers
from astro_assets_tests.faults.proxy import Fault
from astro_assets_tests.faults.rows import ROWS, required
from astro_assets_tests.faults.table import Shown, page
from astro_assets_tests.sources.conftest import frame


@pytest.fixture(params=list("FVHS"))
def plain(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Far]:
    made = servers.far(request.param, tmp_path)
    with made.exits:
        yield made


def test_a_far_side_is_empty_at_first_and_serves_what_is_put_there(plain: Far) -> None:
    assert plain.look() == []
    paths = [plain.put(f"{number}.fit", frame(number)) for number in (1, 2)]
    outcome = plain.fetch()
    assert outcome.published == dict(zip(paths, map(frame, (1, 2)), strict=True))
    assert (outcome.quarantined, outcome.failures) == ({}, [])


def test_the_proxy_breaks_what_runs_through_it(plain: Far) -> None:
    plain.put("1.fit", frame(1))
    proxy = plain.proxy
    (batch,) = plain.look()
    received = proxy.connections[-1].received_bytes
    faults = proxy.data_faults or proxy.faults
    faults = proxy.data_faults if proxy.host != "127.0.0.1" else proxy.faults
    faults.append(Fault("reset", 700))
    outcome = plain.fetch_batches([batch])
    assert received > 0
    assert outcome.published == {plain.path("1.fit"): frame(1)}
    broken = [seen for seen in proxy.connections if seen.fault.what == "reset"]
    assert [seen.received_bytes for seen in broken] == [700]


def test_the_table_tells_what_is_missing_and_what_fails() -> None:
    every = [Shown("t", row, where, "R", "s", "x", "holds") for row, where in required()]
    text, whole = page(every)
    assert whole
    assert f"{len(ROWS)} of {len(ROWS)} rows, {len(every)} of {len(every)} cells" in text
    text, whole = page(every[1:])
    assert not whole
    assert "**no test**" in text
    assert "1 cells have no test" in text
    for outcome in ("FAILS", "vsftpd is not installed"):
        text, whole = page([*every[1:], Shown("t", 1, "F", "R", "s", "x", outcome)])
        assert not whole
