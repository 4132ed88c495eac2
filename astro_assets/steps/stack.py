"""Session stacks: the accepted frames of a session as one image per filter, and in colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.table import Table
from astropy.wcs.utils import proj_plane_pixel_area
from numpy.typing import NDArray

from astro_assets.errors import NoSolverIndex, NotSolved
from astro_assets.frame import mosaic_key
from astro_assets.imaging.depth import usual_weight
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.memory import give_back_freed
from astro_assets.imaging.photometry import limiting_magnitude, zero_point
from astro_assets.imaging.solve import refine
from astro_assets.imaging.stack import Stacked
from astro_assets.imaging.stars import find_stars, seeing
from astro_assets.settings import GridWish, Solving
from astro_assets.settings.grids import wish_for
from astro_assets.steps import colour, continuum, provenance, solve, versions
from astro_assets.steps.behind import written_behind
from astro_assets.steps.catalogue import index_choices, index_stars
from astro_assets.steps.flatten import sentence
from astro_assets.steps.gaia import GaiaClient
from astro_assets.steps.gridding import grid_of
from astro_assets.steps.inventory import STACK_STATE
from astro_assets.steps.layers import Light, clearest, filter_of, stack_channels
from astro_assets.steps.stack_planes import STARS
from astro_assets.steps.summary import Summary
from astro_assets.store import ImageFile, Store, write_json


@dataclass(frozen=True, slots=True)
class _Made:
    """What is told of a stack that is written. rejected : pixels of all its frames together"""

    noise_e: float
    rejected: int
    method: str


def stack_session(
    store: Store,
    source: str,
    session: str,
    solving: Solving,
    grids: Sequence[GridWish] = (),
    gradient_order: int = 0,
) -> Summary:
    """Lay a session's accepted frames onto one grid and combine them, filter by filter.

    With no accepted frame there is no image, and ``stack.json`` says so.

    gradient_order : of the surface that is taken off each frame's sky; 0 takes off none
    """
    give_back_freed()
    target = mosaic_key(session.split("_")[1])
    wish = wish_for(target, grids)
    folder = store.stacks(source, session)
    folder.mkdir(parents=True, exist_ok=True)
    lights = [
        Light(path, fits.getheader(path), gradient_order)
        for path in solve.accepted_files(store.solved(source, session))
    ]
    digest = provenance.fingerprint(
        versions.STACK,
        *([wish.model_dump_json()] if wish else []),
        *([f"gradient {gradient_order}"] if gradient_order else []),
        *(str(light.header.get(provenance.KEYWORD)) for light in lights),
    )
    for stale in folder.glob("*.fits"):
        stale.unlink()
    made = _stack_filters(lights, folder, digest, solving, wish) if lights else {}
    gaia = GaiaClient(solving.gaia, store) if solving.gaia else None
    picture = colour.write_picture(folder, session, solving.index_folders, gaia) if made else None
    lines = continuum.write_lines(folder, session, digest)
    state = {
        "source": source,
        "session": session,
        "target": target,
        "night": session[:10],
        "frames": len(lights),
        "filters": sorted(made),
        "lines": dict(lines.figures),
        "digest": digest,
    }
    write_json(folder / STACK_STATE, state)
    return Summary(
        figures={
            "frames": len(lights),
            "filters": ", ".join(sorted(made)) or "none: no frame was accepted",
            **{f"noise_e_{name}": round(m.noise_e, 3) for name, m in made.items()},
            **{f"outlier_pixels_{name}": m.rejected for name, m in made.items()},
            **{f"bayer_{name}": m.method for name, m in made.items() if m.method},
            **(picture.figures if picture else {}),
            **lines.figures,
        },
        digest=digest,
        path=folder,
        picture_png=picture.thumbnail_png if picture else None,
        more_pictures_png=lines.pictures_png,
        remarks=picture.remarks if picture else (),
    )


def _stack_filters(
    lights: Sequence[Light],
    folder: Path,
    digest: str,
    solving: Solving,
    wish: GridWish | None,
) -> dict[str, _Made]:
    grid = grid_of(
        [light.wcs for light in lights], [light.shape for light in lights], wish, "reference"
    )
    by_filter: dict[str, list[Light]] = {}
    for light in lights:
        by_filter.setdefault(filter_of(light.header), []).append(light)
    made: dict[str, _Made] = {}
    with written_behind() as write:
        for members in by_filter.values():
            reference = members[clearest([light.header for light in members])]
            for channel, stacked in stack_channels(members, reference, grid, folder):
                header = _header(stacked, grid, members, reference, channel)
                stars = _depth(header, stacked, grid, solving)
                provenance.stamp(header, "stack", digest)
                write(folder / f"{channel}.fits", _file(stacked, header, stars))
                made[channel] = _Made(header["BKGNOISE"], sum(stacked.rejected), stacked.method)
                del stacked  # its planes would lie beside those of the next one
    return made


def _header(
    stacked: Stacked, grid: Grid, lights: Sequence[Light], reference: Light, channel: str
) -> fits.Header:
    header = grid.wcs.to_header()
    header["OBJECT"] = reference.header.get("OBJECT", "")
    header["FILTER"] = channel
    header["BUNIT"] = ("electron", "of the reference frame's exposure")
    header["EXPTIME"] = (reference.header.get("EXPTIME", 0.0), "[s] of the reference frame")
    header["TOTALEXP"] = (sum(li.header.get("EXPTIME", 0.0) for li in lights), "[s] all frames")
    header["NCOMBINE"] = (len(lights), "frames combined")
    header["AAREF"] = provenance.fits_text(reference.path.stem)  # the scale is this frame's
    header["BKGNOISE"] = (noise_e(stacked.weight), "[e-] noise of the background")
    header["BKGLEVEL"] = (stacked.background_e, "[e-] level of the background")
    if stacked.method:
        header["AABAYER"] = (stacked.method.split(":")[0], "how colours came onto the grid")
        provenance.note(header, stacked.method)
    starts = [str(li.header["DATE-OBS"]) for li in lights if li.header.get("DATE-OBS")]
    if starts:
        header["DATE-OBS"] = (min(starts), "UTC, start of the first frame")
    for light in lights:
        provenance.note(header, f"frame {light.path.stem}")
        if light.gradients:
            provenance.note(header, sentence(light.path.stem, light.gradients))
    return header


def _file(stacked: Stacked, header: fits.Header, stars: pd.DataFrame) -> ImageFile:
    return ImageFile(
        image=stacked.image,
        header=header,
        mask=stacked.mask,
        planes=planes_of(stacked),
        tables={STARS: Table.from_pandas(stars)},
    )


def planes_of(stacked: Stacked) -> dict[str, NDArray[np.generic]]:
    """What a stack or composite tells of each of its pixels beside the value."""
    return {
        "WEIGHT": stacked.weight,
        "COUNT": stacked.count,
        "EXPOSURE": stacked.exposure_s,
        "REJ_LOW": stacked.low,
        "REJ_HIGH": stacked.high,
    }


def _depth(header: fits.Header, stacked: Stacked, grid: Grid, solving: Solving) -> pd.DataFrame:
    """Measure the stack's own stars, for its seeing, zero point and limiting magnitude."""
    image = np.nan_to_num(stacked.image)
    stars = find_stars(image, stacked.mask)
    fwhm_px, elongation = seeing(stars)
    if not np.isfinite(fwhm_px):
        return stars
    header["FWHM"] = (fwhm_px, "[px] of unsaturated stars")
    header["ELONG"] = (elongation, "major over minor axis of stars")
    scale_arcsec = float(np.sqrt(proj_plane_pixel_area(grid.wcs)) * 3600)
    ra_deg, dec_deg = (float(value) for value in grid.wcs.wcs.crval)
    exposure_s = float(header["EXPTIME"])
    try:
        files, *_ = index_choices(
            solving.index_folders, grid.shape, scale_arcsec, (ra_deg, dec_deg)
        )
        solution = refine(stars, grid.wcs, index_stars(files), grid.shape)
    except (NotSolved, NoSolverIndex) as error:
        provenance.note(header, f"no zero point of its own: {error}")
        return stars
    measured = zero_point(stars, solution.matches, exposure_s)
    if measured is not None:
        limit = limiting_magnitude(
            measured.mag, noise_e=header["BKGNOISE"], fwhm_px=fwhm_px, exposure_s=exposure_s
        )
        header["MAGZP"] = (measured.mag, "[mag] V_T, of 1 e-/s")
        header["MAGLIM"] = (limit, "[mag] V_T, 5 sigma")
    return stars


def noise_e(weight: NDArray[np.float32]) -> float:
    """The background's noise where the stack is deepest in the main, from its weights."""
    return float(1 / np.sqrt(usual_weight(weight)))


def channel_files(folder: Path) -> dict[str, Path]:
    """The images of a stack or composite by filter."""
    return {p.stem: p for p in sorted(folder.glob("*.fits")) if p.stem != "color"}
