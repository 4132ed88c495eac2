"""Eleven real frames of M 94 (Seestar S50): depth and roundness of the stack, and Siril's."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

import astro_assets
from astro_assets.data import INDEX_FILES
from astro_assets.imaging.bayer import debayer, luminance
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.solve import Hint, refine, solve
from astro_assets.imaging.stars import find_stars, seeing
from astro_assets.settings import Solving
from astro_assets.steps.catalogue import index_stars, open_solver
from astro_assets.steps.stack import stack_session
from astro_assets.store import Store, read_image
from astro_assets_tests.steps.solved import SOURCE, write_solved
from astro_assets_tests.validation.line import Line
from astro_assets_tests.validation.peers import peer
from astro_assets_tests.validation.siril import siril_stack

FRAMES = Path(astro_assets.__file__).parents[2] / "shared" / "data" / "seestar_m94"
_SESSION = "2025-04-09_M94_Seestar-S50"
_SIDE = 8
_INNER = np.s_[200:700, 200:900]
"""sky that every frame holds, away from the galaxy"""


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Signal to noise, elongation, and the same frames in Siril."""
    data = "M 94, 11 frames of 10 s, Seestar S50"
    if not FRAMES.is_dir():
        yield Line("real stack", data, "–", "–", "the frames are not here", "–", None)
        return
    images = [np.asarray(fits.getdata(path)) for path in sorted(FRAMES.glob("*.fit"))]
    header = fits.getheader(min(FRAMES.glob("*.fit")))
    with tempfile.TemporaryDirectory() as folder:
        singles, rounds = _solved(Path(folder), images, header)
        stack_session(Store(Path(folder)), SOURCE, _SESSION, Solving())
        products = Store(Path(folder)).stacks(SOURCE, _SESSION)
        files = {colour: read_image(products / f"{colour}.fits") for colour in "RGB"}
    green = np.nan_to_num(files["G"].image)
    stars = find_stars(green, files["G"].mask)
    fwhm_px, elongation = seeing(stars)
    gain = min(singles) / noise_of_sums(green) / np.sqrt(len(images))
    yield Line(
        "real stack: signal to noise of sums of 8 × 8 px of green", data,
        "the best single frame · √11", "1", f"{gain:.3f} ({files['G'].header['AABAYER']})",
        "≥ 0.9", bool(gain >= 0.9),
    )  # fmt: skip
    yield Line(
        "real stack: elongation of green stars", data, "the better half of the frames",
        f"{min(rounds):.3f} … {np.median(rounds):.3f}", f"{elongation:.3f}",
        "no more than in these", bool(elongation <= np.median(rounds)),
    )  # fmt: skip
    if len(seeds) > 1:
        yield _beside_siril(data, images, header["BAYERPAT"], green, fwhm_px)


def _solved(
    folder: Path, images: Sequence[NDArray[np.uint16]], header: fits.Header
) -> tuple[list[float], list[float]]:
    """Solve and write the frames; noise of each one's green, and elongation of its stars."""
    catalogue, solver = index_stars(INDEX_FILES), open_solver(INDEX_FILES)
    pattern = header["BAYERPAT"]
    wcss, masks, singles, rounds, widths = [], [], [], [], []
    for image in images:
        plain = image.astype(np.float32)
        mask = np.where(image > 65_000, MaskBit.SATURATED, 0).astype(np.uint8)
        mask[image <= 0] = MaskBit.NO_DATA
        grey, bits = luminance(plain, mask, pattern)
        stars = find_stars(grey, bits)
        widths.append(seeing(stars)[0])
        planes, plane_masks = debayer(plain, mask, pattern)
        rounds.append(seeing(find_stars(planes[1], plane_masks[1]))[1])
        if wcss:
            wcss.append(refine(stars, wcss[0], catalogue, plain.shape).wcs)
        else:
            hint = Hint(header["RA"], header["DEC"], 2.37)
            wcss.append(solve(stars, plain.shape, solver, catalogue, hint).wcs)
        masks.append(mask)
        singles.append(_green_noise(plain, pattern))
    write_solved(
        Store(folder), _SESSION, [image.astype(np.float32) for image in images], wcss,
        masks=masks, cards=[{"FWHM": width} for width in widths], EXPTIME=10.0, BAYERPAT=pattern,
    )  # fmt: skip
    return singles, rounds


def _green_noise(image: NDArray[np.float32], pattern: str) -> float:
    """Noise of a sum over 8 × 8 pixels if green had all: from its own, of which it has 32."""
    green = [
        image[y::2, x::2] for y, x in np.argwhere(np.array(list(pattern)).reshape(2, 2) == "G")
    ]
    mean = (green[0].astype(np.float64) + green[1]) / 2
    part = mean[100:350, 100:450]
    # 16 cells of two green pixels each stand for 64 pixels.
    return float(_robust(_sums(part, _SIDE // 2))) * 4


def noise_of_sums(image: NDArray[np.float32]) -> float:
    """Noise of sums over 8 × 8 pixels, without gradients: from the differences of neighbours."""
    return _robust(_sums(image[_INNER].astype(np.float64), _SIDE))


def _sums(image: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    ny, nx = (length // side for length in image.shape)
    return image[: ny * side, : nx * side].reshape(ny, side, nx, side).sum(axis=(1, 3))


def _robust(sums: NDArray[np.float64]) -> float:
    difference = (sums[:, 1:] - sums[:, :-1]).ravel() / np.sqrt(2)
    return float(1.4826 * np.median(np.abs(difference - np.median(difference))))


def _beside_siril(
    data: str, images: Sequence[NDArray[np.uint16]], pattern: str, green: NDArray[np.float32],
    fwhm_px: float,
) -> Line:  # fmt: skip
    tool = peer("siril-cli")
    if tool is None:
        return Line("real stack beside Siril", data, "siril-cli", "not installed", "–", "–", None)
    with tempfile.TemporaryDirectory() as folder:
        theirs = siril_stack(tool, Path(folder), images, bayer=pattern)[1]
    wide, _ = seeing(find_stars(theirs, np.zeros(theirs.shape, np.uint8)))
    noise, other = noise_of_sums(green), noise_of_sums(theirs)
    return Line(
        "real stack: FWHM and noise of sums of green", data,
        f"{tool.name}: debayer, register, rej 3 3, addscale, weighted",
        f"{wide:.2f} px, {other:.0f} ADU", f"{fwhm_px:.2f} px, {noise:.0f} ADU",
        "no worse (2 %)", bool(fwhm_px <= 1.02 * wide and noise <= 1.02 * other),
    )  # fmt: skip
