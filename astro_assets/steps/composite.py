"""Composites: all nights of a target, built from the sessions' stacks.

One more night costs one more stack, not all frames again.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.filters import channel_of
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.nearest import nearest
from astro_assets.imaging.stack import Layer, stack
from astro_assets.imaging.warp import warp
from astro_assets.settings import GridWish, Solving
from astro_assets.settings.grids import wish_for
from astro_assets.steps import colour, continuum, provenance
from astro_assets.steps.gaia import GaiaClient
from astro_assets.steps.gridding import grid_of
from astro_assets.steps.inventory import COMPOSITE_STATE, stacks, targets
from astro_assets.steps.layers import clearest, flux_scale
from astro_assets.steps.scratch import put_aside
from astro_assets.steps.stack import channel_files, noise_e, planes_of
from astro_assets.steps.summary import Summary
from astro_assets.store import ImageFile, Store, read_image, write_image, write_json


@dataclass(frozen=True, slots=True)
class _Input:
    """One session's stack in one channel."""

    session: str
    path: Path
    header: fits.Header


def compose_target(
    store: Store,
    target: str,
    grids: Sequence[GridWish] = (),
    solving: Solving | None = None,
) -> Summary:
    """Combine all session stacks of a target, channel by channel, and in colour.

    Parameters
    ----------
    grids : what the settings wish for
    solving : where colours of stars may be found

    Raises
    ------
    NothingToDo : the target has no stack
    """
    sessions = [s for s in stacks(store) if s["target"] == target and s["filters"]]
    if not sessions:
        raise NothingToDo(f"{target} has no stack yet; its sessions come first")
    folder = store.composite(target)
    folder.mkdir(parents=True, exist_ok=True)
    inputs = [
        _Input(f"{s['source']}/{s['session']}", path, fits.getheader(path))
        for s in sessions
        for path in channel_files(store.stacks(s["source"], s["session"])).values()
    ]
    grid = grid_of(
        [WCS(i.header) for i in inputs],
        [(i.header["NAXIS2"], i.header["NAXIS1"]) for i in inputs],
        wish_for(target, grids),
        "north",
    )
    digest = targets(store)[target]
    for stale in folder.glob("*.fits"):
        stale.unlink()
    by_channel: dict[str, list[_Input]] = {}
    for item in inputs:
        by_channel.setdefault(channel_of(item.path.stem) or item.path.stem, []).append(item)
    for channel, members in by_channel.items():
        _combine(folder / f"{channel}.fits", channel, members, grid, target, digest)
    solving = solving or Solving()
    gaia = GaiaClient(solving.gaia, store) if solving.gaia else None
    picture = colour.write_picture(folder, target, solving.index_folders, gaia)
    lines = continuum.write_lines(folder, target, digest)
    nights = sorted({s["night"] for s in sessions})
    used = sorted({f"{s['source']}/{s['session']}" for s in sessions})
    write_json(
        folder / COMPOSITE_STATE,
        {
            "target": target,
            "sessions": used,
            "nights": nights,
            "lines": dict(lines.figures),
            "digest": digest,
        },
    )
    exposure_s = sum(float(i.header.get("TOTALEXP", 0.0)) for i in inputs)
    return Summary(
        figures={
            "sessions": ", ".join(used),
            "nights": len(nights),
            "channels": ", ".join(sorted(by_channel)),
            "exposure_s": exposure_s,
            **picture.figures,
            **lines.figures,
        },
        digest=digest,
        path=folder,
        picture_png=picture.thumbnail_png,
        more_pictures_png=lines.pictures_png,
        remarks=picture.remarks,
    )


def _combine(
    path: Path,
    channel: str,
    inputs: Sequence[_Input],
    grid: Grid,
    target: str,
    digest: str,
) -> None:
    headers = [item.header for item in inputs]
    reference = headers[clearest(headers)]
    with tempfile.TemporaryDirectory(prefix=".warped-", dir=path.parent) as scratch:
        combined = stack(
            [
                _layer(item, grid, flux_scale(reference, item.header), f"{scratch}/{number}")
                for number, item in enumerate(inputs)
            ]
        )
    header = grid.wcs.to_header()
    header["OBJECT"] = target
    header["FILTER"] = channel
    header["BUNIT"] = "electron"
    header["TOTALEXP"] = (sum(i.header.get("TOTALEXP", 0.0) for i in inputs), "[s] all nights")
    header["NCOMBINE"] = (len(inputs), "session stacks combined")
    starts = [str(i.header["DATE-OBS"]) for i in inputs if i.header.get("DATE-OBS")]
    if starts:
        header["DATE-OBS"] = (min(starts), "UTC, start of the first frame")
    header["BKGNOISE"] = (noise_e(combined.weight), "[e-] noise of the background")
    header["BKGLEVEL"] = (combined.background_e, "[e-] level of the background")
    header["EXPTIME"] = (reference.get("EXPTIME", 0.0), "[s] whose scale the composite has")
    if "MAGZP" in reference:
        header["MAGZP"] = (reference["MAGZP"], "[mag] V_T, of 1 e-/s")
    for item in inputs:
        provenance.note(header, f"stack {item.session} {item.path.stem}")
    provenance.stamp(header, "composite", digest)
    write_image(
        path,
        ImageFile(
            image=combined.image,
            header=header,
            mask=combined.mask,
            planes=planes_of(combined),
        ),
    )


def _layer(item: _Input, grid: Grid, scale: float, scratch: str) -> Layer:
    """A session's stack on the composite's grid; where it is shallow it weighs less."""
    file = read_image(item.path)
    wcs = WCS(item.header)
    deepest = file.planes["WEIGHT"].max()
    mask = file.mask if file.mask is not None else np.zeros(file.image.shape, np.uint8)
    warped = warp(file.image, mask, wcs, grid)
    relative = nearest((file.planes["WEIGHT"] / deepest).astype(np.float32), wcs, grid)
    return Layer(
        image=put_aside(Path(f"{scratch}.image"), warped.image),
        weight=put_aside(Path(f"{scratch}.weight"), relative * warped.weight),
        mask=put_aside(Path(f"{scratch}.mask"), warped.mask),
        background_e=float(item.header["BKGLEVEL"]) * warped.area,
        noise_e=float(np.sqrt(warped.area / deepest)),
        scale=scale,
        exposure_s=put_aside(Path(f"{scratch}.exposure"), nearest(_exposures(file), wcs, grid)),
    )


def _exposures(file: ImageFile) -> NDArray[np.float32]:
    """Exposure time of each pixel; of stacks that do not tell it from their counts."""
    if "EXPOSURE" in file.planes:
        return np.asarray(file.planes["EXPOSURE"], np.float32)
    exposure_s = np.float32(file.header.get("EXPTIME", 0.0))
    return np.asarray(file.planes["COUNT"].astype(np.float32) * exposure_s)
