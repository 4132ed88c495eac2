"""nova.astrometry.net as an alternative: bounded, remembered, and never in the others' way."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.wcs import WCS
from pydantic import ValidationError

from astro_assets.errors import NotSolved
from astro_assets.imaging.solve import Hint, refine
from astro_assets.imaging.wcs_fit import to_pixels
from astro_assets.settings import Nova
from astro_assets.steps.nova import NovaClient
from astro_assets.store import Store
from astro_assets_tests.steps.online import KEY, Script, served

SHAPE = (600, 800)
HINT = Hint(10.0, -30.0, 2.0)


@pytest.fixture
def script() -> Iterator[Script]:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = (10.1, -30.2), (400.5, 300.5)
    wcs.wcs.cd = 2 / 3600 * np.array([[-1, 0.1], [0.1, 1]])
    wcs.pixel_shape = (800, 600)
    with served(Script(wcs=wcs)) as script:
        yield script


def stars(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"x": rng.uniform(5, 790, 60), "y": rng.uniform(5, 590, 60)})


def client(script: Script, root: Path, *, key: str = KEY, **bounds: float) -> NovaClient:
    settings = Nova.model_validate({"key_env": "NOVA_KEY", "url": script.url, **bounds})
    return NovaClient(settings, key, Store(root))


def test_its_answer_is_fitted_by_ourselves(script: Script, tmp_path: Path) -> None:
    found = client(script, tmp_path).solve(stars(), SHAPE, HINT)
    solution = refine(stars(), found.wcs, found.stars, SHAPE)
    assert script.wcs is not None
    x, y = to_pixels(script.wcs, *solution.wcs.all_pix2world([0, 799], [0, 599], 0))
    np.testing.assert_allclose([x, y], [[0, 799], [0, 599]], atol=0.01)
    assert solution.n_matched == 60
    assert solution.residual_arcsec < 0.01


def test_positions_and_hints_are_all_that_is_sent(script: Script, tmp_path: Path) -> None:
    client(script, tmp_path).solve(stars(), SHAPE, HINT)
    sent = script.submissions[0]
    assert sent["x"] == pytest.approx((stars()["x"] + 1).tolist())
    assert (sent["image_width"], sent["image_height"]) == (800, 600)
    assert (sent["center_ra"], sent["scale_est"], sent["publicly_visible"]) == (10.0, 2.0, "n")
    assert KEY not in str(sent)


def test_an_answer_is_asked_for_once(script: Script, tmp_path: Path) -> None:
    first = client(script, tmp_path).solve(stars(), SHAPE, HINT)
    asked = len(script.asked)
    again = client(script, tmp_path).solve(stars(), SHAPE, HINT)
    assert len(script.asked) == asked
    np.testing.assert_array_equal(first.wcs.wcs.crval, again.wcs.wcs.crval)


def test_it_is_not_resubmitted_for_ever(script: Script, tmp_path: Path) -> None:
    """AstroPhotography sends a frame again as long as nova finds nothing."""
    script.behaviour = "finds nothing"
    with pytest.raises(NotSolved, match="finds no place that fits these 60 stars"):
        client(script, tmp_path).solve(stars(), SHAPE, HINT)
    for _ in range(3):
        with pytest.raises(NotSolved, match=r"asked 1 times.*not asked again.*delete .*\.json"):
            client(script, tmp_path).solve(stars(), SHAPE, HINT)
    assert len(script.submissions) == 1


def test_a_service_that_is_down_is_counted_and_left_alone(script: Script, tmp_path: Path) -> None:
    script.behaviour = "breaks"
    for _ in range(3):
        with pytest.raises(NotSolved, match="the connection failed"):
            client(script, tmp_path).solve(stars(), SHAPE, HINT)
    asked = len(script.asked)
    script.behaviour = "well"
    with pytest.raises(NotSolved, match="asked 3 times"):
        client(script, tmp_path).solve(stars(), SHAPE, HINT)
    assert len(script.asked) == asked
    assert client(script, tmp_path).solve(stars(2), SHAPE, HINT)


def test_within_a_session_a_service_that_is_down_is_asked_once(
    script: Script, tmp_path: Path
) -> None:
    script.behaviour = "breaks"
    session = client(script, tmp_path)
    for seed in range(5):
        with pytest.raises(NotSolved, match="not asked again in this run"):
            session.solve(stars(seed), SHAPE, HINT)
    assert len(script.asked) == 1


def test_a_session_asks_for_so_many_frames(script: Script, tmp_path: Path) -> None:
    session = client(script, tmp_path, max_frames=2)
    session.solve(stars(1), SHAPE, HINT)
    session.solve(stars(2), SHAPE, HINT)
    with pytest.raises(NotSolved, match="max_frames"):
        session.solve(stars(3), SHAPE, HINT)
    assert len(script.submissions) == 2


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("never ends", "no answer within 1 s"),
        ("says nonsense", "the connection failed|nobody understands"),
    ],
)
def test_it_is_not_waited_for_for_ever(
    script: Script, tmp_path: Path, behaviour: str, sentence: str
) -> None:
    script.behaviour = behaviour
    began_s = time.monotonic()
    with pytest.raises(NotSolved, match=sentence):
        client(script, tmp_path, wait_s=1.0).solve(stars(), SHAPE, HINT)
    assert time.monotonic() - began_s < 20


def test_a_silent_line_is_cut(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astro_assets.steps.nova._TIMEOUT_S", 0.3)
    script.behaviour = "is silent"
    began_s = time.monotonic()
    with pytest.raises(NotSolved, match="the connection failed"):
        client(script, tmp_path).solve(stars(), SHAPE, HINT)
    assert time.monotonic() - began_s < 30


def test_a_wrong_key_is_said_and_the_key_is_nowhere(script: Script, tmp_path: Path) -> None:
    session = client(script, tmp_path, key="wrong-key-77")
    with pytest.raises(NotSolved, match="refused the key") as caught:
        session.solve(stars(), SHAPE, HINT)
    left = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert left
    for place in (str(caught.value), repr(session), left):
        assert "wrong-key-77" not in place


@pytest.mark.parametrize(
    "url", ["http://nova.astrometry.net", "https://u:p@host", "nova", "https://h/?apikey=1"]
)
def test_the_key_travels_encrypted_or_not_at_all(url: str) -> None:
    with pytest.raises(ValidationError, match="https"):
        Nova(key_env="NOVA_KEY", url=url)
