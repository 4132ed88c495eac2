"""Sessions that went through a whole lane, one at a time: mono and Bayer, several seeds each."""

import pytest

from astro_assets.sim.cameras import ASI, T20
from astro_assets.sim.session import small_camera
from astro_assets_tests.figures.lane import Reduced, reduce

CAMERAS = {"mono": small_camera(T20), "Bayer": small_camera(ASI, (450, 600))}
RUNS = [("mono", seed) for seed in (11, 12, 13)] + [("Bayer", seed) for seed in (21, 22, 23)]


@pytest.fixture(scope="session", params=RUNS, ids=lambda run: f"{run[0]}-{run[1]}")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reduced:
    camera, seed = request.param
    return reduce(tmp_path_factory.mktemp(camera), CAMERAS[camera], seed)
