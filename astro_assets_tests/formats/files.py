"""Frames in other formats, as cameras and programs write them, with known pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from xisf import XISF

CFA, LINEAR_SRGB_ILLUMINANT = 32803, 21
CODES = {"RGGB": bytes([0, 1, 1, 2]), "GBRG": bytes([1, 2, 0, 1]), "BGGR": bytes([2, 1, 1, 0])}


def counts(seed: int, shape: tuple[int, ...] = (64, 96)) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(300, 4000, shape, dtype=np.uint16)


def write_dng(
    path: Path,
    image: NDArray[np.uint16],
    *,
    pattern: str = "RGGB",
    black: int = 256,
    white: int = 16383,
    exposure_s: float = 30,
    taken: str = "2026:11:20 22:15:30",
    offset: str = "",
    focal_length_mm: float = 0.0,
    pixel_um: float = 0.0,
) -> Path:
    """A mosaic as Adobe's DNG 1.4 has it, uncompressed."""
    tags: list[tuple[int, Any, int, Any, bool]] = [
        (271, "s", 0, "Maker", True), (272, "s", 0, "Roof cam", True),
        (33421, "H", 2, (2, 2), True), (33422, "B", 4, CODES[pattern], True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True), (50707, "B", 4, bytes([1, 1, 0, 0]), True),
        (50708, "s", 0, "Roof cam", True),
        (50714, "H", 1, black, True), (50717, "H", 1, white, True),
        (50721, "2i", 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
        (50778, "H", 1, LINEAR_SRGB_ILLUMINANT, True),
        (33434, "2I", 1, (round(1000 * exposure_s), 1000), True), (34855, "H", 1, 800, True),
        (36867, "s", 0, taken, True),
    ]  # fmt: skip
    if focal_length_mm and pixel_um:
        per_mm = (round(1e6 / pixel_um), 1000)
        tags += [
            (37386, "2I", 1, (round(1000 * focal_length_mm), 1000), True),
            (33437, "2I", 1, (28, 10), True),
            (41486, "2I", 1, per_mm, True), (41487, "2I", 1, per_mm, True),
            (41488, "H", 1, 4, True),
        ]  # fmt: skip
    if offset:
        tags.append((36881, "s", 0, offset, True))
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, photometric=CFA, extratags=tags, metadata=None)
    return path


def write_tiff(path: Path, image: NDArray[Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, metadata=None, **options)
    return path


def write_xisf(
    path: Path, image: NDArray[Any], codec: str | None = None, **cards: str | float
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    keywords = {
        name.replace("_", "-"): [{"value": f"'{card}'" if isinstance(card, str) else str(card),
                                  "comment": ""}]
        for name, card in cards.items()
    }  # fmt: skip
    planes = image[..., np.newaxis] if image.ndim == 2 else np.moveaxis(image, 0, -1)
    XISF.write(str(path), planes, image_metadata={"FITSKeywords": keywords}, codec=codec,
               shuffle=codec is not None)  # fmt: skip
    return path
