"""AstroPhotography's side of the bench: its scripts, from a checkout with a Python of its own.

What belongs here: their command lines. What does not: what is measured of them.

It is no package of the registries and needs older releases of photutils and astropy than ours:
`ASTROPHOTOGRAPHY` names the checkout, `ASTROPHOTOGRAPHY_PYTHON` the Python that has what it needs.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from astro_assets_tests.bench.compared import Peer
from astro_assets_tests.bench.measured import Cost, of_command
from astro_assets_tests.bench.night import FILTERS, Night

CHECKOUT = "ASTROPHOTOGRAPHY"
PYTHON = "ASTROPHOTOGRAPHY_PYTHON"
_DARK, _LIGHT = "astrophotography_dark.fits", "astrophotography_light.fits"


def checkout() -> Path | None:
    """Where it is, if anybody says so."""
    named = os.environ.get(CHECKOUT)
    return Path(named) if named else None


def star_peers(frame: Callable[[], Path], folder: Path) -> tuple[Peer, ...]:
    """Its stars of one frame; none where it is not here."""
    if checkout() is None:
        return ()
    return (Peer("AstroPhotography", lambda: stars(frame(), folder), "wall_s", 0.03),)


def night_peers(night: Night, master: Callable[[str], Path], folder: Path) -> tuple[Peer, ...]:
    """Its stages of the whole night, with bias and flat of ours; none where it is not here."""
    if checkout() is None:
        return ()

    def run() -> Cost:
        lights = [light for name in FILTERS.values() for light in night.lights(name)]
        darks = night.darks[0].parent
        return stages(darks, lights[0], master("bias"), master("flat"), folder, len(lights))

    return (Peer("AstroPhotography's stages, one light times all", run, "wall_s", 0.05),)


def stars(frame: Path, folder: Path) -> Cost:
    """Stars, fluxes and widths of one frame, with its quality report."""
    report, plot = "astrophotography.yml", "astrophotography.png"
    more = ["--quiet", "--quality_report", report, "--fwhm_plot", plot]
    made = ("astrophotography.fits", report, plot)
    return _script(folder, "find_stars", [str(frame), made[0], *more], made)


def combine_darks(darks: Path, folder: Path) -> Cost:
    """A master dark of the frames in ``darks``."""
    return _script(folder, "combine_darks", [str(darks), _DARK], (_DARK,))


def calibrate(light: Path, bias: Path, flat: Path, folder: Path) -> Cost:
    """One light with the master dark that `combine_darks` made; cosmic rays removed."""
    more = ["--master_flat", str(flat), "--fixcosmic", "--dark_still_biased"]
    return _script(folder, "calibrate", [str(light), str(bias), _DARK, _LIGHT, *more], (_LIGHT,))


def stages(darks: Path, light: Path, bias: Path, flat: Path, folder: Path, lights: int) -> Cost:
    """Its stages of a night: the darks, and for each light calibration and stars.

    One light is measured, and counts as many times as there are.
    """
    once = combine_darks(darks, folder)
    each = [
        calibrate(light, bias, flat, folder),
        stars(folder / _LIGHT, folder),
    ]
    return Cost(
        wall_s=once.wall_s + lights * sum(cost.wall_s for cost in each),
        cpu_s=once.cpu_s + lights * sum(cost.cpu_s for cost in each),
        peak_mb=max(cost.peak_mb for cost in (once, *each)),
        read_mb=0.0,
        written_mb=0.0,
    )


def _script(folder: Path, name: str, arguments: Sequence[str], made: Sequence[str]) -> Cost:
    """Run one of its scripts, which do not write over what is there."""
    place = checkout()
    if place is None:
        raise RuntimeError(f"AstroPhotography is not here: {CHECKOUT} names no checkout")
    for file in made:
        (folder / file).unlink(missing_ok=True)
    script = place / "AstroPhotography" / "scripts" / f"ap_{name}.py"
    return of_command(
        [os.environ.get(PYTHON, sys.executable), "-W", "ignore", str(script), *arguments],
        folder,
        {"PYTHONPATH": str(place), "MPLBACKEND": "Agg"},
    )
