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

CHECKOUT = "ASTROPHOTOGRAPHY"
PYTHON = "ASTROPHOTOGRAPHY_PYTHON"


def checkout() -> Path | None:
    """Where it is, if anybody says so."""
    named = os.environ.get(CHECKOUT)
    return Path(named) if named else None


def star_peers(frame: Callable[[], Path], folder: Path) -> tuple[Peer, ...]:
    """Its stars of one frame; none where it is not here."""
    if checkout() is None:
        return ()
    return (Peer("AstroPhotography", lambda: stars(frame(), folder), "wall_s", 0.03),)


def stars(frame: Path, folder: Path) -> Cost:
    """Stars, fluxes and widths of one frame, with its quality report."""
    made = [f"astrophotography{ending}" for ending in (".fits", ".yml", "_fwhm.png", ".png")]
    # It does not end without the pictures.
    more = ["--quiet", "--quality_report", made[1], "--fwhm_plot", made[2], "--plotfile", made[3]]
    return _script(folder, "find_stars", [str(frame), made[0], *more], made)


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
