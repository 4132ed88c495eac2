"""The files that a round left, read for `judge`: ours, the peers', and the truth of the night.

What belongs here: where each side's result lies, and in which units. What does not: figures, and
what is good enough.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from PIL import Image

from astro_assets.sim.detector import Detector
from astro_assets.sim.exposure import Exposure
from astro_assets.steps.solve import accepted_files
from astro_assets.store import Store
from astro_assets_tests.bench import judge, ours
from astro_assets_tests.bench.figures import Depth, Field, depth, good_pixels, true_field
from astro_assets_tests.bench.judge import Judged
from astro_assets_tests.bench.night import FILTERS, Night, conditions_of, light

_COUNTS = 65535.0
"""Siril's images of 32 bits are shares of this"""
JUDGED = "Blue"
"""the filter whose first frame is judged: it comes first by name"""


@dataclass(frozen=True)
class Verdicts:
    """Of one night. folder : where the bench works; settings : ours"""

    night: Night
    folder: Path
    settings: Path

    @cached_property
    def _store(self) -> Store:
        return ours.opened(str(self.settings))[1]

    @cached_property
    def _session(self) -> str:
        return ours.session(self._store)

    @cached_property
    def _detector(self) -> Detector:
        return self.night.detector

    @cached_property
    def _good(self) -> NDArray[np.bool_]:
        return good_pixels(self._detector)

    @cached_property
    def _light(self) -> Exposure:
        return light(self.night, self._detector, JUDGED, 0)

    def _master(self, kind: str, **wanted: str) -> NDArray[np.float32]:
        folder = self._store.master(ours.SOURCE, kind, "any").parent
        for path in sorted(folder.glob("*.fits")):
            header = fits.getheader(path)
            if "~" not in path.stem and all(header.get(k) == v for k, v in wanted.items()):
                return _plane(path)
        raise FileNotFoundError(f"{folder} has no {kind} of {wanted}")

    def _siril(self, name: str) -> NDArray[np.float32] | None:
        path = self.folder / "siril" / "process" / f"{name}.fit"
        return _plane(path) * np.float32(_COUNTS) if path.is_file() else None

    def master_dark(self) -> Judged:
        camera = self._detector.camera
        pattern = self._detector.dark_e_per_s * (camera.exposure_s / camera.gain_e_per_adu)
        mine = self._master("dark") + self._master("bias")
        return judge.master(
            mine, self._siril("dark_stacked"), pattern + self._detector.bias_adu, self._good
        )

    def masters(self) -> Judged:
        pairs = [
            (self._master("flat", FILTER=name), self._siril(f"flat_{name}_stacked"))
            for name in FILTERS.values()
        ]
        return judge.flats(pairs, self._detector, self._master("bad_pixels") != 0)

    def calibrated(self) -> Judged:
        folder = self._store.calibrated(ours.SOURCE, self._session)
        return judge.calibrated(
            _plane(min(folder.glob("*.fits"))),
            self._siril(f"pp_light_{JUDGED}_00001"),
            self._light.image_e,
            self._good,
        )

    def cosmic_rays(self) -> Judged:
        hit = self._light.cosmic_rays & self._good
        mine = np.load(self.folder / "cosmic_rays.npy").astype(bool)
        file = self.folder / "astroscrappy_exact.npy"
        theirs = np.load(file).astype(bool) if file.is_file() else None
        return judge.rays(mine, theirs, hit)

    def frame_with_rays(self) -> Path:
        """The judged light as perfect masters leave it, its rays still there, in electrons."""
        file = self.folder / "with_rays.fits"
        camera = self._detector.camera
        image_e = camera.gain_e_per_adu * self._detector.corrected(
            self._light.counts_adu, camera.exposure_s
        )
        image_e[~self._good] = np.float32(np.median(image_e))
        header = fits.Header()
        header["RDNOISE"] = camera.read_noise_e
        header["SATURATE"] = camera.gain_e_per_adu * camera.saturation_adu
        fits.PrimaryHDU(image_e.astype(np.float32), header).writeto(file, overwrite=True)
        return file

    def stars(self) -> Judged:
        truth = true_field(self._light, self._detector.camera.read_noise_e)
        frame = np.asarray(np.load(self.folder / "measure_one.npy"), np.float64)
        peers = []
        catalogue = self.folder / "found.cat"
        if catalogue.is_file():
            columns = np.loadtxt(catalogue)
            clear = columns[:, 3] > 25 * columns[:, 4]
            peers.append(Field(columns[:, 1:3] - 1, float(np.median(columns[clear, 5]))))
        return judge.stars(Field(frame, self._fwhm_px()), peers, truth)

    def _fwhm_px(self) -> float:
        folder = self._store.solved(ours.SOURCE, self._session)
        return float(fits.getheader(min(folder.glob("*.fits")))["FWHM"])

    def solution(self) -> Judged:
        first = min(self._store.solved(ours.SOURCE, self._session).glob("*.fits"))
        theirs = next(iter(sorted(self.folder.glob("*.wcs"))), None)
        return judge.solution(
            self._off_px(fits.getheader(first)),
            None if theirs is None else self._off_px(fits.getheader(theirs)),
        )

    def _off_px(self, header: fits.Header) -> float:
        ny, nx = self.night.size.shape
        x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, nx, 9), np.linspace(0, ny, 9)))
        ra, dec = WCS(header).all_pix2world(x, y, 0)
        true_x, true_y = self._light.conditions.pointing.pixels(ra, dec)
        return float(np.sqrt(np.mean((true_x - x) ** 2 + (true_y - y) ** 2)))

    def stack(self) -> Judged:
        file = self._store.stacks(ours.SOURCE, self._session) / f"{JUDGED}.fits"
        peers: list[Depth] = []
        siril = self._siril(f"stack_{JUDGED}")
        if siril is not None:
            peers.append(self._on_a_frames_pixels(siril))
        if (swarped := self.folder / "swarp.fits").is_file():
            peers.append(self._by_wcs(swarped))
        return judge.stack(self._by_wcs(file), peers)

    @cached_property
    def _places(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Right ascension and declination of the clear stars that all frames show."""
        found = true_field(self._light, self._detector.camera.read_noise_e).positions
        inside = ((found > 60) & (found < np.array(self.night.size.shape[::-1]) - 60)).all(axis=1)
        ra, dec = self._light.conditions.pointing.wcs().all_pix2world(*found[inside].T, 0)
        return ra, dec

    def _by_wcs(self, file: Path) -> Depth:
        header = fits.getheader(file)
        return depth(_plane(file), np.transpose(WCS(header).all_world2pix(*self._places, 0)))

    def _on_a_frames_pixels(self, image: NDArray[np.float32]) -> Depth:
        """Of a stack that lies as one of its frames: the one that it had as its reference."""
        for conditions in conditions_of(self.night, self._detector.camera, JUDGED):
            try:
                return depth(image, np.transpose(conditions.pointing.pixels(*self._places)))
            except ValueError:
                continue
        raise ValueError("the stack lies as none of its frames")

    def picture(self) -> Judged:
        with Image.open(self._store.stacks(ours.SOURCE, self._session) / "color.png") as shown:
            return judge.picture(np.asarray(shown.convert("RGB")))

    def whole_night(self) -> Judged:
        stacks = self._store.stacks(ours.SOURCE, self._session)
        target = self._session.split("_")[1]
        products = [
            *(stacks / f"{name}.fits" for name in FILTERS.values()),
            *(stacks / f"color.{ending}" for ending in ("fits", "tif", "png")),
            self._store.composite(target) / "color.png",
            self._store.root / "frames.csv",
        ]
        lights = sum(len(self.night.lights(name)) for name in FILTERS.values())
        accepted = len(accepted_files(self._store.solved(ours.SOURCE, self._session)))
        others = [self.master_dark(), self.masters(), self.calibrated(), self.solution()]
        others += [self.stack(), self.picture()]
        return judge.night(accepted, lights, products, others)


def _plane(path: Path) -> NDArray[np.float32]:
    """The first image of a file as native numbers."""
    return np.ascontiguousarray(fits.getdata(path), np.float32)
