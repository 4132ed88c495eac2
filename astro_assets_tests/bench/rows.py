"""What is compared: each piece of work, ours and theirs, and the ratio that is wanted.

What belongs here: the pairs. What does not: measuring, and the page (`__main__`).
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from astropy.io import fits

from astro_assets.steps.solve import accepted_files
from astro_assets_tests.bench import astromatic, astrophotography, ours, siril, whole_night
from astro_assets_tests.bench.compared import Peer, Row, bound
from astro_assets_tests.bench.measured import Cost, of_function
from astro_assets_tests.bench.night import FILTERS, Night
from astro_assets_tests.bench.verdicts import Verdicts

_OURS = "astro_assets_tests.bench.ours"
_PYTHON = "astro_assets_tests.bench.python_peers"


@dataclass(frozen=True, slots=True)
class Bench:
    """The night, and where each side works."""

    night: Night
    folder: Path

    @property
    def settings(self) -> Path:
        return whole_night.settings_for(self.night, self.folder / "ours")

    def rows(self) -> Iterator[Row]:
        """The whole night first: the others use what it made."""
        yield self._whole_night()
        yield whole_night.share_row(self.night, self.folder / "share")
        yield self._master_dark()
        yield self._all_masters()
        # First, for the others go on from frames without cosmic rays.
        yield self._calibrate_alone()
        yield self._calibrate()
        yield self._cosmic_rays()
        yield self._stars()
        yield self._solve_first()
        yield self._solve()
        yield self._stack()
        yield self._color()

    def limit(self, cost: Cost) -> Cost:
        """What reading and writing as many bytes as a run did costs, and nothing else."""
        files = [*self.night.darks, *self.night.biases]
        amounts = (str(cost.read_mb), str(cost.written_mb))
        out = self.folder / "written.bin"
        return of_function(_PYTHON, "read_and_write", str(out), *amounts, *map(str, files))

    def _verdicts(self) -> Verdicts:
        return Verdicts(self.night, self.folder, self.settings)

    def _ours(self, name: str) -> Callable[[], Cost]:
        keep = self.folder / f"{name}.npy"
        return lambda: of_function(_OURS, name, str(self.settings), keep=keep)

    def _python(self, name: str, *arguments: Path | Callable[[], Path]) -> Callable[[], Cost]:
        """What is only known once it is made is given as a function."""

        def run() -> Cost:
            known = [a if isinstance(a, Path) else a() for a in arguments]
            keep = self.folder / f"{name}.npy"
            return of_function(_PYTHON, name, *(str(path) for path in known), keep=keep)

        return run

    def _siril(self, lines: str, *, afresh: bool = False) -> Callable[[], Cost]:
        folder = self.folder / "siril"

        def run() -> Cost:
            if afresh or not (folder / "process").exists():
                siril.prepare(self.night, folder)
            return siril.run(folder, lines)

        return run

    def _whole_night(self) -> Row:
        folder = self.settings.parent

        def afresh() -> Cost:
            for made in ("products", "dagster"):
                shutil.rmtree(folder / made, ignore_errors=True)
            (folder / "dagster").mkdir()
            return whole_night.sync(self.settings)

        script = self._siril(siril.whole_night(), afresh=True)
        return Row(
            "whole night, raw files to colour picture, through Dagster",
            afresh,
            (
                Peer("Siril, which does less", script, "wall_s", 0.35),
                Peer("Siril, which does less", script, "cpu_s", 0.35),
                Peer("Siril, which does less", script, "peak_mb", 1.0),
                Peer("1200 MB", lambda: bound(1200.0), "peak_mb", 1.0),
            ),
            judge=lambda: self._verdicts().whole_night(),
        )

    def _master_dark(self) -> Row:
        darks = self.night.darks
        return Row(
            f"master dark, {len(darks)} frames",
            self._ours("master_dark"),
            (
                Peer("Siril", self._siril(siril.combine("dark")), "cpu_s", 0.25),
                Peer("ccdproc", self._python("ccdproc_master_dark", *darks), "cpu_s", 0.05),
                Peer("reading the bytes", self._python("read_bytes", *darks), "cpu_s", 5.0),
            ),
            judge=lambda: self._verdicts().master_dark(),
        )

    def _all_masters(self) -> Row:
        script = self._siril(siril.masters())
        return Row(
            "all masters of the night",
            self._ours("all_masters"),
            (Peer("Siril", script, "wall_s", 0.15),),
            judge=lambda: self._verdicts().masters(),
        )

    def _calibrate(self) -> Row:
        lights = [light for name in FILTERS.values() for light in self.night.lights(name)]
        out = self.folder / "numpy"

        def numpy_two_threads() -> Cost:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            dark, flat = self._first_of("dark"), self._first_of("flat")
            return self._python("numpy_calibrate", dark, flat, out, *lights)()

        script = self._siril("".join(siril.calibrate(name) for name in FILTERS.values()))
        return Row(
            f"calibrate {len(lights)} lights, written (ours: with cosmic rays)",
            self._ours("calibrate"),
            (
                Peer("Siril", script, "wall_s", 0.6),
                Peer("numpy, two threads", numpy_two_threads, "wall_s", 1.0),
            ),
            judge=lambda: self._verdicts().calibrated(),
        )

    def _calibrate_alone(self) -> Row:
        like = self._calibrate()
        return replace(
            like,
            work=like.work.replace("with cosmic rays", "without cosmic rays, as the others"),
            ours=self._ours("calibrate_alone"),
        )

    def _first_of(self, kind: str) -> Path:
        """Of our masters of a kind."""
        folder = self.settings.parent / "products" / "masters" / ours.SOURCE
        return min((folder / kind).glob("*.fits"))

    def _calibrated(self) -> Path:
        _, store = ours.opened(str(self.settings))
        return min(store.calibrated(ours.SOURCE, ours.session(store)).glob("*.fits"))

    def _cosmic_rays(self) -> Row:
        frame = self.folder / "with_rays.fits"

        def search() -> Cost:
            if not frame.is_file():
                self._verdicts().frame_with_rays()
            return of_function(
                _OURS, "cosmic_rays", str(frame), keep=self.folder / "cosmic_rays.npy"
            )

        exact = self._python("astroscrappy_exact", frame)
        separable = self._python("astroscrappy_separable", frame)
        return Row(
            "cosmic rays, one frame",
            search,
            (
                Peer("astroscrappy, exact medians", exact, "wall_s", 0.03),
                Peer("astroscrappy, separable", separable, "wall_s", 0.1),
            ),
            judge=lambda: self._verdicts().cosmic_rays(),
        )

    def _stars(self) -> Row:
        def source_extractor() -> Cost:
            return astromatic.source_extractor(self._calibrated(), self.folder)

        return Row(
            "background, stars, FWHM, one frame",
            self._ours("measure_one"),
            (
                Peer(
                    "source-extractor",
                    source_extractor,
                    "wall_s",
                    0.5,
                ),
                Peer(
                    "photutils",
                    self._python("photutils_stars", self._calibrated),
                    "wall_s",
                    0.05,
                ),
                *astrophotography.star_peers(self._calibrated, self.folder),
            ),
            judge=lambda: self._verdicts().stars(),
        )

    def _solve_field(self) -> Cost:
        frame = self._calibrated()
        header = fits.getheader(frame)
        scale = self.night.size.camera().scale_arcsec
        return astromatic.solve_field(frame, self.folder, header["RA"], header["DEC"], scale)

    def _solve_first(self) -> Row:
        return Row(
            "plate solution of a pointing's first frame, sky and stars included",
            self._ours("solve_first"),
            (Peer("solve-field", self._solve_field, "wall_s", 0.15),),
            judge=lambda: self._verdicts().solution(),
        )

    def _solve(self) -> Row:
        lights = sum(len(self.night.lights(name)) for name in FILTERS.values())
        return Row(
            "sky, stars, solution, verdict, written, per frame of a pointing",
            self._ours("solve"),
            (Peer("solve-field (solution only)", self._solve_field, "wall_s", 0.03),),
            judge=lambda: self._verdicts().solution(),
            share=1 / lights,
        )

    def _stack(self) -> Row:
        def swarp() -> Cost:
            _, store = ours.opened(str(self.settings))
            frames = accepted_files(store.solved(ours.SOURCE, ours.session(store)))
            blue = [path for path in frames if fits.getheader(path)["FILTER"] == "Blue"]
            return astromatic.swarp(blue, self.folder)

        lights = len(self.night.lights("Blue"))
        return Row(
            f"register and stack {lights} lights (ours: a third of three filters and the picture)",
            self._ours("stack"),
            (
                Peer("Siril", self._siril(siril.register_and_stack("Blue")), "wall_s", 0.25),
                Peer("SWarp", swarp, "wall_s", 0.3),
            ),
            judge=lambda: self._verdicts().stack(),
            share=1 / len(FILTERS),
        )

    def _color(self) -> Row:
        def stacks() -> list[Path]:
            _, store = ours.opened(str(self.settings))
            folder = store.stacks(ours.SOURCE, ours.session(store))
            return [folder / f"{name}.fits" for name in FILTERS.values()]

        def stiff() -> Cost:
            return astromatic.stiff(stacks(), self.folder)

        def lupton() -> Cost:
            return self._python("lupton", self.folder / "lupton.png", *stacks())()

        return Row(
            "colour picture from three stacks",
            self._ours("color"),
            (
                Peer("STIFF", stiff, "wall_s", 0.6),
                Peer("astropy's Lupton", lupton, "wall_s", 0.25),
            ),
            judge=lambda: self._verdicts().picture(),
        )
