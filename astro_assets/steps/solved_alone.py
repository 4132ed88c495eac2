"""Each frame of a session by itself: read once, measured, solved and written but for its header.

What belongs here: what goes on side by side, and in which order. What does not: how it is measured
(`measure`), solved (`solving`), written (`solved_file`); the verdict (`solve`), for which all
frames must be there.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from astro_assets.errors import NotSolved, Unusable
from astro_assets.files import sync_file
from astro_assets.fits_units import Plane, checked_planes
from astro_assets.imaging.solve import Solution
from astro_assets.steps.measure import Measured, figures_of, measured_of
from astro_assets.steps.pool import map_frames
from astro_assets.steps.resources import largest
from astro_assets.steps.solved_file import KEPT_PLANES, Staged, stage
from astro_assets.steps.solving import SessionSolver
from astro_assets.steps.turns import Turns
from astro_assets.store import ImageFile

_NEED = 5
"""memory to measure one frame, in sizes of its file"""


@dataclass(frozen=True, slots=True)
class ByItself:
    """What one frame tells; ``staged`` where it is solved."""

    measured: Measured
    solution: Solution | NotSolved
    staged: Staged | None


def each_by_itself(
    calibrated: Path, names: Sequence[str], solver: SessionSolver, new_part: Callable[[], Path]
) -> list[ByItself | Unusable]:
    """Each frame measured, solved and written but for its header; or why it shows nothing.

    Frames are measured side by side and solved one after another: a pointing's solution is the
    start of the next one.

    Raises
    ------
    OSError : one could not be written
    """
    turns = Turns()

    def one(number: int) -> ByItself | Unusable:
        path = calibrated / f"{names[number]}.fits"
        with turns.of(number) as wait_for_turn:
            try:
                planes = checked_planes(path, KEPT_PLANES)
                m = measured_of(path, _as_file(planes))
            except Unusable as error:
                return error
            wait_for_turn()
            solution = solver.solve_next(m, len(names))
        if isinstance(solution, NotSolved):
            return ByItself(m, solution, None)
        staged = stage(new_part(), planes, m, solution, figures_of(m, solution))
        synced.append(on_disk.submit(sync_file, staged.part))
        return ByItself(m, solution, staged)

    need_bytes = _NEED * largest(calibrated / f"{name}.fits" for name in names)
    synced: list[Future[None]] = []
    with ThreadPoolExecutor(1, thread_name_prefix="sync") as on_disk:
        found = map_frames(one, range(len(names)), need_bytes)
    for each in synced:
        each.result()  # the system tells an error of the disk once, to whoever syncs first
    return found


def _as_file(planes: Sequence[Plane]) -> ImageFile:
    image, *masks = planes
    header = fits.Header.fromstring(image.header)
    return ImageFile(image.pixels, header, masks[0].pixels if masks else None)
