import numpy as np
import pytest

from astro_assets.errors import NothingToDo
from astro_assets.imaging import color
from astro_assets.imaging.color import compose
from astro_assets.imaging.filters import channel_of
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.mixture import mixture_of
from astro_assets.imaging.stars import find_stars
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


def clean(image: np.ndarray) -> np.ndarray:
    return np.zeros(image.shape, np.uint8)


def test_stars_that_are_known_are_not_looked_for_again(monkeypatch: pytest.MonkeyPatch):
    images, _ = session(1, {"Red": 0.6, "Green": 1.0, "Blue": 0.35})
    searched = compose(images).balance
    known = {name: find_stars(image, clean(image)) for name, image in images.items()}
    monkeypatch.setattr(color, "_ENOUGH_STARS", 20)
    given = compose(images, stars=known).balance
    assert given.n_stars >= 20
    assert given.factors == pytest.approx(searched.factors, rel=0.02)
    half = {name: table[table["x"] < SHAPE[1] / 2] for name, table in known.items()}
    assert 20 <= compose(images, stars=half).balance.n_stars < 0.8 * given.n_stars


def test_the_mean_is_searched_where_one_channel_knows_few_stars():
    images, _ = session(1, {"Red": 0.6, "Green": 1.0, "Blue": 0.35})
    few = {"Green": find_stars(images["Green"], clean(images["Green"])).head(6)}
    searched = compose(images).balance
    assert compose(images, stars=few).balance == searched


def test_stars_chosen_by_red_or_blue_do_not_tell_what_is_average(monkeypatch: pytest.MonkeyPatch):
    images, _ = session(2, {"Red": 0.6, "Green": 1.0, "Blue": 0.35})
    monkeypatch.setattr(color, "_ENOUGH_STARS", 1)
    known = {name: find_stars(images[name], clean(images[name])) for name in ("Red", "Blue")}
    assert compose(images, stars=known).balance == compose(images).balance


def test_the_channels_may_lie_where_the_picture_will():
    images, _ = session(3, {"Red": 0.6, "Green": 1.0, "Blue": 0.35})
    apart = compose(images).rgb
    into = np.stack([images[name] for name in ("Red", "Green", "Blue")])
    names = ("Red", "Green", "Blue")
    result = compose(dict(zip(names, into, strict=True)), into=into)
    assert result.rgb is into
    np.testing.assert_array_equal(into, apart)


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


def pixel_noise(image: np.ndarray) -> float:
    difference = np.diff(image)
    return float(1.4826 * np.median(np.abs(difference)))


def lrgb(seed: int, depth: float = 4.0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Coloured stars and a red patch; luminance sees all three channels, with less noise."""
    rng = np.random.default_rng(seed)
    x, y = spread_stars(rng, SHAPE)
    flux = 10 ** rng.uniform(4, 5, x.size)
    redness = rng.normal(0, 0.2, x.size)
    patch = np.zeros(SHAPE)
    patch[120:180, 160:240] = 60
    light = {
        name: star_field(SHAPE, x, y, flux * np.exp(tilt * redness)) + share * patch
        for name, tilt, share in (("Red", 1, 1.5), ("Green", 0, 1.0), ("Blue", -1, 0.5))
    }
    images = {
        name: (response * light[name] + rng.normal(300, 12, SHAPE)).astype(np.float32)
        for name, response in (("Red", 0.8), ("Green", 1.0), ("Blue", 0.6))
    }
    whole = 0.9 * light["Red"] + 1.1 * light["Green"] + 1.0 * light["Blue"]
    images["Luminance"] = (whole + rng.normal(900, 12 * 3 / depth, SHAPE)).astype(np.float32)
    return images, patch


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_luminance_gives_depth_and_leaves_colour(seed: int):
    images, patch = lrgb(seed)
    rgb = {name: images[name] for name in ("Red", "Green", "Blue")}
    plain, deep = compose(rgb), compose(images)
    assert deep.mixture.name == "LRGB"
    assert deep.remarks == ()
    noise = [pixel_noise(result.rgb.mean(axis=0)) for result in (plain, deep)]
    assert noise[1] < 0.7 * noise[0]
    inside = patch > 0
    for result in (plain, deep):
        r, g, b = (np.median(plane[inside]) for plane in result.rgb)
        assert (r - b) / g == pytest.approx(1.0, abs=0.08)
        assert r / g == pytest.approx(1.5, rel=0.06)


def test_luminance_takes_its_stars_where_they_are_known():
    images, _ = lrgb(1)
    luminance = images["Luminance"]
    found = find_stars(luminance, clean(luminance))
    given = compose(images, stars={"Luminance": found})
    np.testing.assert_allclose(given.rgb, compose(images).rgb, atol=0.5, rtol=0.005)
    assert compose(images, stars={"Luminance": found.head(3)}).remarks


def test_luminance_without_stars_is_left_out_and_told():
    rng = np.random.default_rng(4)
    names = ("Red", "Green", "Blue", "Luminance")
    images = {name: rng.normal(100, 5, SHAPE).astype(np.float32) for name in names}
    result = compose(images)
    assert any("luminance was left out" in remark for remark in result.remarks)


def with_line(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """White stars in R, G, B; a nebula that glows in Hα alone, faint in the broad red."""
    rng = np.random.default_rng(seed)
    x, y = spread_stars(rng, SHAPE)
    stars = star_field(SHAPE, x, y, 10 ** rng.uniform(4.3, 5.3, x.size))
    nebula = np.zeros(SHAPE)
    nebula[100:200, 140:260] = 12
    images = {n: (stars + rng.normal(300, 12, SHAPE)).astype(np.float32) for n in ("G", "B")}
    images["R"] = (stars + nebula + rng.normal(300, 12, SHAPE)).astype(np.float32)
    images["Ha"] = (0.1 * stars + nebula + rng.normal(40, 4, SHAPE)).astype(np.float32)
    return images, nebula > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_line_adds_its_red_and_stars_stay_white(seed: int):
    images, glow = with_line(seed)
    plain = compose({name: images[name] for name in "RGB"})
    red = compose(images)
    assert red.mixture.name == "HaRGB"
    assert red.remarks == ()
    signal = [np.median(r.rgb[0][glow]) - np.median(r.rgb[0][~glow]) for r in (plain, red)]
    assert signal[1] > 2 * signal[0]
    noise = [pixel_noise(r.rgb[0]) for r in (plain, red)]
    assert noise[1] < 1.5 * noise[0]
    # The sky is seen in one more filter, and by that in other places: a constant.
    assert np.ptp(plain.rgb[1:] - red.rgb[1:], axis=(1, 2)).max() < 0.02
    bright = plain.rgb[1] > 500
    ratio = np.median(red.rgb[0][bright] / red.rgb[1][bright])
    assert ratio == pytest.approx(np.median(plain.rgb[0][bright] / plain.rgb[1][bright]), abs=0.02)


def test_the_line_on_a_grey_picture_is_red():
    images, glow = with_line(5)
    result = compose({"Luminance": images["R"], "Ha": images["Ha"]})
    assert result.mixture.name == "Ha on grey"
    r, g, b = (np.median(plane[glow]) for plane in result.rgb)
    assert r > 1.5 * g
    assert g == b


def test_a_line_that_cannot_be_had_is_left_out_and_told():
    rng = np.random.default_rng(6)
    images = {n: rng.normal(100, 5, SHAPE).astype(np.float32) for n in ("R", "G", "B", "Ha")}
    result = compose(images)
    assert any(remark.startswith("Hα was left out") for remark in result.remarks)


@pytest.mark.parametrize("names", [("R", "G", "B"), ("Ha",), ("Ha", "L"), ("L", "R", "G", "B")])
@pytest.mark.parametrize("what", ["saturated", "blank", "constant"])
def test_whatever_the_pixels_are_there_is_a_picture(names: tuple[str, ...], what: str):
    value = {"saturated": 60_000.0, "blank": np.nan, "constant": 7.0}[what]
    images = {name: np.full((90, 110), value, np.float32) for name in names}
    bits = MaskBit.SATURATED if what == "saturated" else 0
    result = compose(images, {name: np.full((90, 110), bits, np.uint8) for name in names})
    assert result.rgb.shape == (3, 90, 110)
    assert result.balance.white == "not balanced"


def test_filters_that_cover_different_parts_give_a_picture_of_what_both_cover():
    images, _ = session(11, {"Red": 1.0, "Green": 1.0, "Blue": 1.0})
    images["Red"][:, :150] = np.nan
    images["Blue"][:, 300:] = np.nan
    result = compose(images)
    assert np.isfinite(result.rgb[:, :, 150:300]).all()
    assert np.isnan(result.rgb[0, :, :150]).all()
    assert result.balance.n_stars >= 5
    apart = {name: image.copy() for name, image in images.items()}
    apart["Red"][:, :320] = np.nan
    assert compose(apart).balance.white == "not balanced"
