"""Plate solutions: against the truth with distortion, and solve-field on the same frames.

Frames are drawn of real star positions (Tycho-2), each star a little aside, as if it had moved; the
real frames of M 94 are solved by both programs, and how far they are apart is told.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import convolve

from astro_assets.data import INDEX_FILES
from astro_assets.imaging.solve import Hint, Solution, refine, solve
from astro_assets.imaging.stars import find_stars
from astro_assets.imaging.wcs_fit import to_pixels
from astro_assets.steps.catalogue import index_stars, open_solver
from astro_assets_tests.imaging._sky import tan, with_sip
from astro_assets_tests.imaging.star_field import draw
from astro_assets_tests.validation.line import Line
from astro_assets_tests.validation.peers import Peer, peer

_ROW = "Astrometry"
_SHAPE, _SCALE_ARCSEC = (1000, 1300), 3.5
_NGC7000 = (314.7, 44.3)
_BENDS_PX = (0.0, 3.0)
_SCATTER_PX = 0.15
"""of each star, as its motion since the catalogue's epoch would do"""
_REQUIRED_PX = 0.2
_NO_WORSE = 1.25
_ASKED = 3
"""frames are given to solve-field, which takes its time"""
_REAL_FRAMES = Path(__file__).parents[3] / "shared" / "data" / "seestar_m94"
_REAL_SCALE_ARCSEC = 2.39
_Image = NDArray[np.float32]


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Truth, the next frame of a pointing, solve-field, real frames."""
    small = len(seeds) == 1
    program = peer("solve-field")
    for bend_px in _BENDS_PX[1:] if small else _BENDS_PX:
        frames = [_frame(seed, bend_px) for seed in seeds]
        solved = [_solved(image, truth) for image, truth in frames]
        ours = [_off_px(s.wcs, truth) for s, (_, truth) in zip(solved, frames, strict=True)]
        many = (
            f"{len(seeds)} seeds, {bend_px:g} px of distortion at the edge, {_SCATTER_PX:g} px of "
            "scatter of each star"
        )
        orders = sorted({0 if s.wcs.sip is None else s.wcs.sip.a_order for s in solved})
        yield Line(
            _ROW,
            f"frames of real star positions; {many}",
            "truth",
            "–",
            f"{max(ours):.3f} px RMS over the field (SIP of order {orders}, "
            f"{min(s.n_matched for s in solved)} stars or more)",
            f"≤ {_REQUIRED_PX:g} px",
            max(ours) <= _REQUIRED_PX,
        )
        yield _next_frames(seeds, bend_px, solved)
        yield _beside_solve_field(program, frames[:_ASKED], ours[:_ASKED], many)
    if not small:
        yield _on_real_frames(program)


def _frame(seed: int, bend_px: float, shift_px: float = 0.0) -> tuple[_Image, WCS]:
    rng = np.random.default_rng([seed, 40])
    plane = tan(
        _SHAPE, ra_deg=_NGC7000[0], dec_deg=_NGC7000[1], angle_deg=float(rng.uniform(0, 360)),
        scale_arcsec=_SCALE_ARCSEC,
    )  # fmt: skip
    plane.wcs.crpix = np.add(plane.wcs.crpix, shift_px)
    truth = with_sip(plane, _SHAPE, bend_px) if bend_px else plane
    near = index_stars(INDEX_FILES).near(*_NGC7000, 1.5)
    x, y = to_pixels(truth, near.ra_deg, near.dec_deg)
    x, y = x + rng.normal(0, _SCATTER_PX, len(x)), y + rng.normal(0, _SCATTER_PX, len(y))
    inside = (x > 8) & (x < _SHAPE[1] - 8) & (y > 8) & (y < _SHAPE[0] - 8)
    flux = 2e5 * 10 ** (-0.4 * (near.mag[inside].astype(float) - 9.0))
    field = draw(x[inside], y[inside], flux, seed=seed, shape=_SHAPE, sky_e=300.0)
    return field.image, truth


def _stars(image: _Image):  # type: ignore[no-untyped-def]
    return find_stars(image, np.zeros(image.shape, np.uint8))


def _solved(image: _Image, truth: WCS) -> Solution:
    hint = Hint(truth.wcs.crval[0] + 0.5, truth.wcs.crval[1] - 0.3, 1.1 * _SCALE_ARCSEC)
    return solve(_stars(image), _SHAPE, open_solver(INDEX_FILES), index_stars(INDEX_FILES), hint)


def _next_frames(seeds: Sequence[int], bend_px: float, first: Sequence[Solution]) -> Line:
    off = []
    for seed, before in zip(seeds, first, strict=True):
        image, truth = _frame(seed, bend_px, shift_px=25.0)
        off.append(
            _off_px(refine(_stars(image), before.wcs, index_stars(INDEX_FILES), _SHAPE).wcs, truth)
        )
    return Line(
        _ROW,
        f"the pointing's next frame, 35 px aside, from the first one's solution; {bend_px:g} px of "
        "distortion",
        "truth",
        "–",
        f"{max(off):.3f} px RMS over the field",
        f"≤ {_REQUIRED_PX:g} px",
        max(off) <= _REQUIRED_PX,
    )


def _beside_solve_field(
    program: Peer | None, frames: Sequence[tuple[_Image, WCS]], off: Sequence[float], many: str
) -> Line:
    theirs, ours = None, float(np.mean(off))
    if program is not None:
        theirs = float(
            np.mean(
                [
                    _off_px(_solve_field(program, image, _SCALE_ARCSEC, _NGC7000, 3), truth)
                    for image, truth in frames
                ]
            )
        )
    return Line(
        _ROW,
        f"{len(frames)} of these frames, on average; {many}",
        f"{program.name}, --tweak-order 3" if program else "solve-field (not installed)",
        "–" if theirs is None else f"{theirs:.3f} px RMS over the field",
        f"{ours:.3f} px",
        f"≤ {_NO_WORSE:g} × the reference; both have the stars' scatter",
        None if theirs is None else ours <= _NO_WORSE * theirs,
    )


def _off_px(wcs: WCS, truth: WCS) -> float:
    """RMS of the error over the whole field."""
    ny, nx = _SHAPE
    x, y = (part.ravel() for part in np.meshgrid(np.arange(0, nx, 50), np.arange(0, ny, 50)))
    there_x, there_y = to_pixels(truth, *wcs.all_pix2world(x, y, 0))
    return float(np.sqrt(np.mean((there_x - x) ** 2 + (there_y - y) ** 2)))


def _solve_field(
    program: Peer, image: _Image, scale_arcsec: float, place: tuple[float, float], order: int
) -> WCS:
    """What it says of the picture, with our index files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fits.writeto(folder / "frame.fits", image)
        named = "\n".join(f"index {path.stem}" for path in INDEX_FILES)
        (folder / "config").write_text(f"add_path {INDEX_FILES[0].parent}\n{named}\n")
        words = (
            "--config config --no-plots --scale-units arcsecperpix --new-fits none --match none "
            f"--scale-low {0.8 * scale_arcsec} --scale-high {1.2 * scale_arcsec} --rdls none "
            f"--ra {place[0]} --dec {place[1]} --radius 3 --tweak-order {order} --corr none "
            "--no-remove-lines --uniformize 0 --crpix-center frame.fits"
        )
        subprocess.run(
            [program.program, *words.split()],
            cwd=folder, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        header = fits.getheader(folder / "frame.wcs")
    header["NAXIS"] = 2
    header.insert("NAXIS", ("NAXIS1", image.shape[1]), after=True)
    header.insert("NAXIS1", ("NAXIS2", image.shape[0]), after=True)
    return WCS(header)


def _on_real_frames(program: Peer | None) -> Line:
    frames = sorted(_REAL_FRAMES.glob("*.fit"))[::4]
    ours = "not here"
    apart = None
    if frames:
        images = [_luminance(frame) for frame in frames]
        solved = [
            solve(
                _stars(image), image.shape, open_solver(INDEX_FILES), index_stars(INDEX_FILES),
                Hint(193.0, 40.98, _REAL_SCALE_ARCSEC),
            )
            for image in images
        ]  # fmt: skip
        ours = f"{max(s.residual_arcsec for s in solved):.2f}″ RMS residual at most"
        if program is not None and shutil.which("solve-field"):
            apart = max(
                _apart_arcsec(s.wcs, _solve_field(program, image, _REAL_SCALE_ARCSEC,
                                                  (193.0, 40.98), 1), image.shape)
                for s, image in zip(solved, images, strict=True)
            )  # fmt: skip
    return Line(
        _ROW,
        f"{len(frames)} real frames of M 94 (Seestar S50, 2.4″ per pixel)",
        f"{program.name}, --tweak-order 1" if program else "solve-field (not installed)",
        "–" if apart is None else f"{apart:.2f}″ from ours at the centre and the corners, at most",
        ours,
        "≤ 3″ apart, residual ≤ 2″",
        None if apart is None else apart <= 3 and max(s.residual_arcsec for s in solved) <= 2,
    )


def _luminance(frame: Path) -> _Image:
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / np.float32(16)
    return np.asarray(convolve(fits.getdata(frame).astype(np.float32), kernel))


def _apart_arcsec(ours: WCS, theirs: WCS, shape: tuple[int, ...]) -> float:
    ny, nx = shape
    x, y = np.array([[nx / 2, ny / 2], [0, 0], [nx - 1, 0], [0, ny - 1], [nx - 1, ny - 1]]).T
    (ra, dec), (their_ra, their_dec) = (w.all_pix2world(x, y, 0) for w in (ours, theirs))
    return float(3600 * np.hypot((ra - their_ra) * np.cos(np.radians(dec)), dec - their_dec).max())
