"""What the tests of the matrix share: the servers, and the far side of the cell's letter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astro_assets_tests.faults.far import Far, Servers
from astro_assets_tests.faults.matrix import Cell


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


@pytest.fixture
def far(where: str, cell: Cell, servers: Servers, tmp_path: Path) -> Iterator[Far]:
    made = servers.far(where, tmp_path)
    cell.server = made.server
    with made.exits:
        yield made
