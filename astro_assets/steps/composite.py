"""Composites: all nights of a target, built from the sessions' stacks.

One more night costs one more stack to read, not all frames again: grid, levels, scale and outliers
rest on all stacks, so that sums of the night before would not hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from astro_assets.errors import NothingToDo
from astro_assets.imaging.filters import channel_of
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.laid import FrameRows, Laid
from astro_assets.imaging.placement import place
from astro_assets.imaging.planes import Workspace
from astro_assets.imaging.stack import Layer, stack
from astro_assets.settings import GridWish, Solving
from astro_assets.settings.grids import wish_for
from astro_assets.steps import colour, continuum, provenance
from astro_assets.steps.behind import written_behind
from astro_assets.steps.frame_rows import FileRows, file_rows
from astro_assets.steps.gaia import GaiaClient
from astro_assets.steps.gridding import grid_of
from astro_assets.steps.inventory import COMPOSITE_STATE, stacks, targets
from astro_assets.steps.layers import clearest, flux_scale
from astro_assets.steps.stack import channel_files, noise_e, planes_of
from astro_assets.steps.summary import Summary
from astro_assets.store import ImageFile, Store, write_json

_ROWS_AT_A_TIME = 256


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
    with written_behind() as write:
        for channel, members in by_channel.items():
            write(folder / f"{channel}.fits", _combined(channel, members, grid, target, digest))
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


def _combined(
    channel: str, inputs: Sequence[_Input], grid: Grid, target: str, digest: str
) -> ImageFile:
    """A channel's stacks combined, as they are written."""
    reference = _reference(inputs)
    combined = stack([_layer(item, grid, flux_scale(reference, item.header)) for item in inputs])
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
    return ImageFile(
        image=combined.image,
        header=header,
        mask=combined.mask,
        planes=planes_of(combined),
    )


def _reference(inputs: Sequence[_Input]) -> fits.Header:
    headers = [item.header for item in inputs]
    return headers[clearest(headers)]


def _layer(item: _Input, grid: Grid, scale: float) -> Layer:
    """A session's stack on the composite's grid; where it is shallow it weighs less."""
    rows = file_rows(item.path, ("WEIGHT", "EXPOSURE"))
    deepest = _deepest(rows)
    placement = place(WCS(item.header), rows.shape, grid)
    return Layer(
        Laid(_StackRows(rows, deepest), placement, float(item.header.get("TOTALEXP", 0.0))),
        background_e=float(item.header["BKGLEVEL"]) * placement.area,
        noise_e=float(np.sqrt(placement.area / deepest)),
        scale=scale,
    )


@dataclass(frozen=True, slots=True)
class _StackRows:
    """A stack's rows; its deepest pixels weigh 1."""

    file: FileRows
    deepest: float

    def rows(self, y0: int, y1: int, space: Workspace) -> FrameRows:
        rows = self.file.rows(y0, y1, space)
        weight = rows.weight
        return rows if weight is None else replace(rows, weight=weight / np.float32(self.deepest))


def _deepest(file: FileRows) -> float:
    """The largest weight of a stack."""
    space = Workspace()
    ny = file.shape[0]
    return max(
        float(file.plane("WEIGHT", y, min(y + _ROWS_AT_A_TIME, ny), space).max())
        for y in range(0, ny, _ROWS_AT_A_TIME)
    )
