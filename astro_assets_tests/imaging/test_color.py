import numpy as np
import pytest

from astro_assets.errors import NothingToDo
from astro_assets.imaging.color import compose
from astro_assets.imaging.filters import channel_of
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.mixture import mixture_of
from astro_assets_tests.imaging._sky import spread_stars, star_field

SHAPE = (300, 400)


@pytest.mark.parametrize(
    ("name", "band"),
    [
        ("Red", "R"), ("R", "R"), ("r", "R"), ("Rc", "R"), ("green", "G"), ("BLUE", "B"),
        ("V", "V"), ("Johnson V", "V"), ("Bessel-B", "B"), ("g'", "SDSS G"), ("r′", "SDSS R"),
        ("SDSS-i", "SDSS I"), ("sloan_z", "SDSS Z"), ("rp", "SDSS R"),
        ("Ha", "Ha"), ("H-alpha", "Ha"), ("Hα 7nm", "Ha"), ("Ha 3 nm", "Ha"),
        ("OIII", "OIII"), ("O3", "OIII"), ("S II", "SII"), ("Luminance", "L"), ("Clear", "L"),
        ("IRCUT", "L"), ("Comet XY", None),
    ],
)  # fmt: skip
def test_filters_are_known_by_their_usual_names(name: str, band: str | None):
    assert channel_of(name) == band


@pytest.mark.parametrize(
    ("filters", "name", "channels", "luminance", "emission"),
    [
        (["Blue", "Green", "Red"], "RGB", ("Red", "Green", "Blue"), None, None),
        (
            ["Blue", "Luminance", "Green", "Red"],
            "LRGB",
            ("Red", "Green", "Blue"),
            "Luminance",
            None,
        ),
        (["Red", "Green", "Blue", "Ha"], "HaRGB", ("Red", "Green", "Blue"), None, ("Ha", "Red")),
        (["R", "G", "B", "L", "H-alpha", "OIII"], "HaLRGB", ("R", "G", "B"), "L", ("H-alpha", "R")),
        (["B", "V", "R"], "RVB", ("R", "V", "B"), None, None),
        (["g'", "r'", "i'"], "irg", ("i'", "r'", "g'"), None, None),
        (["g'", "r'", "i'", "Ha"], "Hairg", ("i'", "r'", "g'"), None, ("Ha", "r'")),
        (["Ha", "OIII", "SII"], "SHO", ("SII", "Ha", "OIII"), None, None),
        (["OIII", "Ha", "L"], "HOO", ("Ha", "OIII", "OIII"), None, None),
        (["Red", "Blue"], "two bands", ("Red", "", "Blue"), None, None),
        (["Ha", "G", "B"], "by wavelength", ("Ha", "G", "B"), None, None),
        (["Luminance", "Red"], "grey", ("Luminance",) * 3, None, None),
        (["Ha"], "grey", ("Ha",) * 3, None, None),
        (["Ha", "Luminance"], "Ha on grey", ("Luminance",) * 3, None, ("Ha", "Luminance")),
        (["Ha", "R"], "Ha on grey", ("R",) * 3, None, ("Ha", "R")),
        (["Comet XY"], "grey", ("Comet XY",) * 3, None, None),
    ],
)
def test_the_mixture_follows_from_the_filters_there_are(
    filters: list[str],
    name: str,
    channels: tuple[str, str, str],
    luminance: str | None,
    emission: tuple[str, str] | None,
):
    chosen = mixture_of(filters)
    assert (chosen.name, chosen.channels) == (name, channels)
    assert (chosen.luminance, chosen.emission) == (luminance, emission)
    assert chosen.reason
    for left in set(filters) - set(chosen.filters):
        assert left in chosen.reason


def test_no_filter_is_nothing_to_do():
    with pytest.raises(NothingToDo):
        mixture_of([])


def session(seed: int, response: dict[str, float]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Stars of scattered colour, whose average is white, through filters of unequal response."""
    rng = np.random.default_rng(seed)
    x, y = spread_stars(rng, SHAPE)
    flux = 10 ** rng.uniform(3.5, 5, x.size)
    redness = rng.normal(0, 0.15, x.size)
    tilt = {"Red": 1.0, "Green": 0.0, "Blue": -1.0}
    images = {}
    for name, factor in response.items():
        stars = star_field(SHAPE, x, y, flux * np.exp(tilt[name] * redness))
        sky = 400 / factor
        image = rng.normal(sky, 8, SHAPE) + factor * stars
        images[name] = image.astype(np.float32)
    return images, np.c_[x, y]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_average_star_is_white_and_the_sky_is_neutral(seed: int):
    response = {"Red": 0.6, "Green": 1.0, "Blue": 0.35}
    images, _ = session(seed, response)
    result = compose(images)
    assert result.balance.n_stars >= 20
    assert result.balance.factors[0] * 0.6 == pytest.approx(1, abs=0.1)
    assert result.balance.factors[2] * 0.35 == pytest.approx(1, abs=0.1)
    for plane, factor in zip(result.rgb, result.balance.factors, strict=True):
        assert abs(np.median(plane)) < 0.2 * 8 * factor


def test_a_galaxy_does_not_shift_the_sky():
    images, _ = session(4, {"Red": 1.0, "Green": 1.0, "Blue": 1.0})
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    glow = 3000 * np.exp(-np.hypot(x - 200, y - 150) / 20)
    result = compose({name: (image + glow).astype(np.float32) for name, image in images.items()})
    corner = result.rgb[:, :40, :40]
    assert np.abs(np.median(corner, axis=(1, 2))).max() < 4


def test_few_stars_leave_the_channels_as_they_are():
    rng = np.random.default_rng(5)
    images = {n: rng.normal(100, 5, SHAPE).astype(np.float32) for n in ("Red", "Green", "Blue")}
    result = compose(images)
    assert result.balance.factors == (1, 1, 1)
    assert result.balance.n_stars == 0


def test_saturated_cores_are_white_and_do_not_set_the_colours():
    images, xy = session(6, {"Red": 0.6, "Green": 1.0, "Blue": 0.35})
    plain = compose(images)
    x, y = xy[0].round().astype(int)
    core = (slice(y - 1, y + 2), slice(x - 1, x + 2))
    images["Green"][core] = 60_000
    mask = np.zeros(SHAPE, np.uint8)
    mask[core] = MaskBit.SATURATED
    result = compose(images, {"Green": mask})
    assert np.ptp(result.rgb[:, core[0], core[1]], axis=0).max() == 0
    assert result.balance.factors == pytest.approx(plain.balance.factors, rel=0.05)


def test_one_filter_makes_a_grey_picture():
    images, _ = session(7, {"Red": 1.0})
    result = compose({"Ha": images["Red"]})
    np.testing.assert_array_equal(result.rgb[0], result.rgb[2])
    assert result.mixture.channels == ("Ha", "Ha", "Ha")
    assert result.balance.white == "not balanced"


def test_two_filters_share_the_green():
    images, _ = session(8, {"Red": 1.0, "Blue": 1.0})
    result = compose(images)
    r, g, b = result.rgb / np.array(result.balance.factors, np.float32)[:, None, None]
    assert g == pytest.approx((r + b) / 2, abs=0.05)


def test_blank_pixels_stay_blank_and_the_inputs_stay_as_they_are():
    images, _ = session(9, {"Red": 1.0, "Green": 1.0, "Blue": 1.0})
    images["Blue"][:20] = np.nan
    before = {name: image.copy() for name, image in images.items()}
    result = compose(images)
    assert np.isnan(result.rgb[2, :20]).all()
    assert np.isfinite(result.rgb[:, 20:]).all()
    for name, image in images.items():
        np.testing.assert_array_equal(image, before[name])


def test_channels_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        compose({"Red": np.ones((5, 5), np.float32), "Blue": np.ones((5, 6), np.float32)})


def test_the_sky_is_neutral_where_a_nebula_fills_most_of_the_field() -> None:
    rng = np.random.default_rng(4)
    x = np.mgrid[:400, :500][1]
    # A red nebula over all but the left quarter, on skies of different levels.
    nebula = 1 / (1 + np.exp(-(x - 150) / 12))
    levels = {"R": 900.0, "G": 500.0, "B": 300.0}
    colour = {"R": 400.0, "G": 60.0, "B": 150.0}
    channels = {
        name: (levels[name] + colour[name] * nebula + rng.normal(0, 5, x.shape)).astype(np.float32)
        for name in levels
    }
    rgb = compose(channels).rgb
    sky = np.median(rgb[:, :, :60], axis=(1, 2))
    np.testing.assert_allclose(sky, 0.0, atol=1.0)
