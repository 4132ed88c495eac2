"""A session's plate solutions: in which order what is tried, and what is not tried again.

What belongs here: the local solver first, nova.astrometry.net where the settings say so, and the
record of failures. What does not: the attempts themselves (`imaging.solve`, `nova`), magnitudes
(`photometric`).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from astro_assets.errors import NoSolverIndex, NotSolved
from astro_assets.imaging.catalogue import CatalogueStars
from astro_assets.imaging.solve import INDEX_BAND, Hint, Solution, refine, solve
from astro_assets.settings import Solving
from astro_assets.steps import provenance, versions
from astro_assets.steps.catalogue import index_choices, index_stars, open_solver
from astro_assets.steps.circumstances import pointing_of
from astro_assets.steps.measure import Measured
from astro_assets.steps.nova import NovaClient
from astro_assets.steps.photometric import GaiaMagnitudes
from astro_assets.store import Store, write_json

UNSOLVED = "unsolved.json"

Log = Callable[[str], None]


@dataclass
class SessionSolver:
    """Solves the frames of one session, one after another.

    folder : of the session's solved frames; the record of failures lies there
    nova_key : the API key of nova.astrometry.net, where the settings name one
    """

    store: Store
    folder: Path
    solving: Solving
    log: Log
    nova_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._nova: NovaClient | None = None
        if self.solving.nova is not None and self.nova_key is not None:
            self._nova = NovaClient(self.solving.nova, self.nova_key, self.store)
        self._gaia = (
            GaiaMagnitudes(self.solving.gaia, self.store, self.log) if self.solving.gaia else None
        )
        self._from_nova: CatalogueStars | None = None
        self._before = _read(self.folder / UNSOLVED)
        self._failed: dict[str, dict[str, str]] = {}
        self._last: Solution | None = None
        self._no_index: NoSolverIndex | None = None
        self._number = 0

    def solve_all(
        self, measured: Iterable[Measured], count: int
    ) -> list[tuple[Measured, Solution | NotSolved]]:
        """Solve the first frame of a pointing; refine its solution for those that follow.

        A frame that all attempts have failed on is not tried again until it, the index files or
        the settings change: it can still be found from another frame's solution.

        Raises
        ------
        NoSolverIndex : no index serves any of the frames, and nothing else solved one
        """
        return self.finished([(m, self.solve_next(m, count)) for m in measured])

    def solve_next(self, m: Measured, count: int) -> Solution | NotSolved:
        """One of ``count`` frames: by the last solution, else from scratch."""
        try:
            result = self._solve_one(m, self._last)
        except NoSolverIndex as error:
            self._no_index, result = error, NotSolved(str(error))
        if isinstance(result, Solution):
            self._last = result
        self._number += 1
        self.log(f"{self._number} of {count} {m.path.stem}: {_told(result)}")
        return result

    def finished(
        self, results: list[tuple[Measured, Solution | NotSolved]]
    ) -> list[tuple[Measured, Solution | NotSolved]]:
        """The frames with the magnitudes that they are compared by; failures are written down.

        Raises
        ------
        NoSolverIndex : no index serves any of the frames, and nothing else solved one
        """
        write_json(self.folder / UNSOLVED, self._failed)
        if self._no_index is not None and self._last is None:
            raise self._no_index
        return results if self._gaia is None else self._with_gaia(self._gaia, results)

    def _with_gaia(
        self,
        gaia: GaiaMagnitudes,
        results: list[tuple[Measured, Solution | NotSolved]],
    ) -> list[tuple[Measured, Solution | NotSolved]]:
        """All with Gaia's magnitudes, or none: frames are compared with one another."""
        found = [(m, gaia.applied(s, m) if isinstance(s, Solution) else s) for m, s in results]
        without = [s for _, s in found if isinstance(s, Solution) and s.band == INDEX_BAND]
        if not without:
            return found
        self.log(
            f"{len(without)} of {len(found)} frames have too few of Gaia's stars, or none: all "
            "zero points are by the index files' magnitudes"
        )
        return results

    def _solve_one(self, m: Measured, last: Solution | None) -> Solution | NotSolved:
        shape = m.shape
        if last is not None:
            found = self._from_last(m, shape, last)
            if found is not None:
                return found
        digest = self._inputs(m)
        before = self._before.get(m.path.stem, {})
        if before.get("inputs") == digest:
            self._failed[m.path.stem] = before
            return NotSolved(before["reason"])
        result = self._afresh(m, shape)
        if isinstance(result, NotSolved):
            self._failed[m.path.stem] = {"inputs": digest, "reason": str(result)}
        return result

    def _from_last(self, m: Measured, shape: tuple[int, int], last: Solution) -> Solution | None:
        """From the session's last solution, which counts for more than what the header says."""
        ra_deg, dec_deg = (float(value) for value in last.wcs.wcs.crval)
        try:
            near, *_ = index_choices(
                self.solving.index_folders, shape, last.scale_arcsec, (ra_deg, dec_deg)
            )
            return refine(m.stars, last.wcs, index_stars(near), shape)
        except (NotSolved, NoSolverIndex):
            pass  # another pointing, or a meridian flip: solve it from scratch
        if self._from_nova is None:
            return None
        try:
            return refine(m.stars, last.wcs, self._from_nova, shape)
        except NotSolved:
            return None

    def _afresh(self, m: Measured, shape: tuple[int, int]) -> Solution | NotSolved:
        """By the index files here, then by nova.astrometry.net.

        Raises
        ------
        NoSolverIndex : there are no such files, and nova did not help
        """
        position = pointing_of(m.frame)
        ra_deg, dec_deg = position or (None, None)
        hint = Hint(ra_deg, dec_deg, m.frame.pixel_scale_arcsec)
        reason: NotSolved | NoSolverIndex
        try:
            found = self._here(m, shape, hint, position)
            if isinstance(found, Solution):
                return found
            reason = found
        except NoSolverIndex as error:
            reason = error
        if self._nova is not None:
            try:
                return self._by_nova(self._nova, m, shape, hint)
            except NotSolved as error:
                self.log(f"{m.path.stem}: {error}")
        if isinstance(reason, NoSolverIndex):
            raise reason
        return reason

    def _here(
        self,
        m: Measured,
        shape: tuple[int, int],
        hint: Hint,
        position: tuple[float, float] | None,
    ) -> Solution | NotSolved:
        reason = NotSolved("")
        choices = index_choices(
            self.solving.index_folders, shape, m.frame.pixel_scale_arcsec, position
        )
        for files in choices:
            try:
                return solve(m.stars, shape, open_solver(files), index_stars(files), hint)
            except NotSolved as error:
                reason = error
        return reason

    def _by_nova(
        self, nova: NovaClient, m: Measured, shape: tuple[int, int], hint: Hint
    ) -> Solution:
        """Our own fit to its answer: to the stars here, with magnitudes, else to those it matched.

        Raises
        ------
        NotSolved : it has no answer, or its answer does not fit the frame's stars
        """
        answer = nova.solve(m.stars, shape, hint)
        try:
            files, *_ = index_choices(self.solving.index_folders, shape, m.frame.pixel_scale_arcsec)
            return refine(m.stars, answer.wcs, index_stars(files), shape)
        except (NotSolved, NoSolverIndex):
            self._from_nova = answer.stars
            return refine(m.stars, answer.wcs, answer.stars, shape)

    def _inputs(self, m: Measured) -> str:
        """Everything that another attempt could depend on."""
        files = [
            f"{path.name} {path.stat().st_size}"
            for folder in self.solving.index_folders
            for path in sorted(folder.glob("index-*.fits"))
        ]
        # nova.astrometry.net counts its own failures; a changed setting asks it again.
        return provenance.fingerprint(
            versions.SOLVED, m.made_from, str(self.solving.nova), str(m.frame.doubts), *files
        )


def _told(result: Solution | NotSolved) -> str:
    if isinstance(result, NotSolved):
        return str(result)
    return f"{result.n_matched} stars, {result.residual_arcsec:.2f}″ RMS"


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
