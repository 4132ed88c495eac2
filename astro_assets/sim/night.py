"""A whole simulated night on disk, as four kinds of servers would serve it, and the truth.

What belongs here: the order of things. What does not: each source's names and headers (`trees`),
the servers (`servers`).
"""

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Literal

from astro_assets.sim.defects import Defects
from astro_assets.sim.star_index import write_star_index
from astro_assets.sim.trees import itelescope, pi, telescope_org, vespera
from astro_assets.sim.trees.plan import Job, NightPlan, Size, work
from astro_assets.sim.truth import SimulatedNight, load
from astro_assets.sim.truth_writer import TruthWriter

_TREES = {module.SOURCE: module.jobs for module in (itelescope, vespera, telescope_org, pi)}
ALL = tuple(_TREES)
"""The names of the sources."""


def make_night(
    root: Path,
    *,
    seed: int = 1,
    night: date = date(2026, 11, 20),
    defects: Defects | None = None,
    truth_images: bool = True,
    capture: Literal["done", "on-arm"] = "done",
    sources: Collection[str] = ALL,
    size: Size = "demo",
) -> SimulatedNight:
    """Write a night to ``root/served`` and the truth about it to ``root/truth``.

    Parameters
    ----------
    root : an empty folder, or one that does not exist yet
    seed : the same seed gives the same bytes
    night : the evening's date; the demo has frames of the night before from iTelescope too
    defects : default all
    truth_images : keep the noiseless image and the masks of each light (some 6 MB per frame)
    capture : "on-arm": the Pi's lights are there only after somebody has armed the night
    sources : which of `ALL`
    size : "small": a quarter of the pixels, fewer frames, one night

    Raises
    ------
    FileExistsError : there is a night in ``root`` already
    ValueError : a source that does not exist
    """
    unknown = sorted(set(sources) - set(ALL))
    if unknown:
        raise ValueError(f"no source {', '.join(unknown)}: there are {', '.join(ALL)}")
    if (root / "served").exists() or (root / "truth").exists():
        raise FileExistsError(f"{root} holds a simulated night already: take it away first")
    writer = TruthWriter(root, truth_images)
    plan = NightPlan(writer, seed, night, defects or Defects(), size, capture)
    jobs: list[Job] = [job for name in ALL if name in sources for job in _TREES[name](plan)]
    work(jobs)
    if pi.SOURCE in sources:
        pi.finish(plan)
    write_star_index(root, seed=seed)
    writer.close(seed=seed, night=night.isoformat())
    return load(root)
