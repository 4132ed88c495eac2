"""Arithmetic of image files: two operands in, one file out.

What belongs here: which part of a file is meant, units by their names, the header of the result.
What does not: the arithmetic (`imaging.arithmetic`).
"""

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from astro_assets.errors import BrokenFile, Unusable
from astro_assets.formats import format_of
from astro_assets.imaging.arithmetic import Operand, Operation, calculate
from astro_assets.steps import provenance, versions
from astro_assets.store import OF_THE_FILE, opened_fits, read_image, sha256_of, whole_file

_MASK = "MASK"
_VARIANCE = "VARIANCE"
_PART = re.compile(r"(?P<path>.+)\[(?P<part>[^\[\]]+)\]")
_SIGNS = {"+": "ADD", "-": "SUB", "*": "MUL", "X": "MUL", "/": "DIV"}
_COMMON_UNITS = (
    (re.compile(r"\be(lectrons?|-|)(?![\w-])", re.IGNORECASE), "electron"),
    (re.compile(r"\badus?\b", re.IGNORECASE), "adu"),
    (re.compile(r"\bcounts\b", re.IGNORECASE), "count"),
    (re.compile(r"\bsec(onds?)?\b", re.IGNORECASE), "s"),
)
"""how cameras and programs spell what the standard does not"""


@dataclass(frozen=True, slots=True)
class Result:
    """What `arithmetic` wrote.

    unit : as the file has it, empty for none
    without_data : pixels of ``pixels`` that have none
    left_out : parts of the inputs that arithmetic has no meaning for
    """

    path: Path
    unit: str
    pixels: int
    without_data: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """An operand with its header; ``told`` is what the result's history says of it."""

    operand: Operand
    header: fits.Header | None
    told: str
    digest: str
    left_out: tuple[str, ...] = ()


def arithmetic(
    first: str, operation: str, second: str, out: Path, *, replace: bool = False
) -> Result:
    """Write ``first operation second`` to ``out``.

    An operand is a number, or a file whose first image counts unless a part is named as in
    ``night.fits[SCI]`` or ``night.fits[2]``. The planes MASK and VARIANCE of a file go along. The
    header is that of the first image.

    Parameters
    ----------
    operation : ADD, SUB, MUL, DIV, MIN, MAX, or a sign
    replace : ``out`` may be there already, and may be one of the operands

    Raises
    ------
    Unusable : an operand is no number and no file, the sizes or units do not go together, the
        operation is unknown, or ``out`` is there already
    """
    do = _operation(operation)
    if out.exists() and not replace:
        raise Unusable(f"{out} is there already: name another file, or add --overwrite")
    read = [_read(first), _read(second)]
    result = calculate(read[0].operand, do, read[1].operand)
    header = next(r.header for r in read if r.header is not None).copy()
    unit = "" if result.unit is None else str(result.unit)
    header.remove("BUNIT", ignore_missing=True)
    if unit:
        header["BUNIT"] = unit
    digest = provenance.fingerprint(versions.ARITHMETIC, do, *(r.digest for r in read))
    provenance.stamp(header, f"imarith {do}", digest)
    provenance.note(header, f"{read[0].told} {do} {read[1].told}")
    for exact in (r for r in read if r.header is not None and r.operand.variance is None):
        if result.variance is not None:
            provenance.note(header, f"{exact.operand.name} has no VARIANCE: taken to be exact")
    left_out = tuple(dict.fromkeys(name for r in read for name in r.left_out))
    if left_out:
        provenance.note(header, f"left out: {', '.join(left_out)}")
    _write(out, result, header)
    none = int(np.count_nonzero(~np.isfinite(np.asarray(result.image, np.float64))))
    return Result(out, unit, result.image.size, none, left_out)


def _operation(text: str) -> Operation:
    name = text.upper()
    try:
        return Operation(_SIGNS.get(name, name))
    except ValueError as error:
        known = ", ".join(Operation)
        raise Unusable(f"there is no operation {text!r}: take one of {known}") from error


def _read(text: str) -> _Read:
    number = _number(text)
    if number is not None:
        told = f"{number:.12g}"
        return _Read(Operand(told, np.array(number)), None, told, told)
    path, part = Path(text), None
    named = _PART.fullmatch(text)
    if named and not path.exists():
        path, part = Path(named["path"]), named["part"]
    if not path.is_file():
        raise Unusable(f"{text} is no number, and there is no such file: correct the name")
    if format_of(path.name) is not None:
        return _other_format(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)  # what is odd is written anew, properly
        return _fits(path, part)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        raise Unusable(f"{text} is no number to calculate with: give a finite one")
    return number


def _fits(path: Path, part: str | None) -> _Read:
    digest = sha256_of(path)
    with opened_fits(path) as hdus:
        hdu = _image_hdu(hdus, path, part)
        planes = {h.name: h.data for h in hdus if h.is_image and h is not hdu and h.size}
        # Of several images each may have planes of its own: SCI, 2 and MASK, 2.
        own = {h.name: h.data for h in hdus if h.name in planes and h.ver == hdu.ver}
        mask, variance = ({**planes, **own}.get(name) for name in (_MASK, _VARIANCE))
        header = hdu.header.copy(strip=True)
        if hdu is not hdus[0]:  # what holds for the whole file
            header.extend(hdus[0].header.copy(strip=True), unique=True)
        for keyword in (*OF_THE_FILE, "EXTNAME", "EXTVER", "CHECKSUM", "DATASUM"):
            header.remove(keyword, ignore_missing=True)
        name = f"{path.name}[{part}]" if part else path.name
        operand = Operand(
            name=name,
            image=np.array(hdu.data),
            unit=_unit(str(header.get("BUNIT", ""))),
            mask=None if mask is None else np.asarray(mask).astype(np.uint8),
            variance=None if variance is None else np.array(variance),
        )
        left_out = tuple(
            h.name or "a part without a name"
            for h in hdus
            if h is not hdu and h.name not in (_MASK, _VARIANCE) and (h.size or not h.is_image)
        )
    return _Read(operand, header, f"{name} ({digest[:12]})", digest, left_out)


def _image_hdu(hdus: fits.HDUList, path: Path, part: str | None) -> fits.PrimaryHDU:
    """The part that is named, by name or number from 0; else the first that holds an image."""
    if part is None:
        wanted = [h for h in hdus if h.is_image and h.size]
    else:
        wanted = [h for n, h in enumerate(hdus) if part.upper() in (h.name, str(n))]
    if not wanted:
        names = ", ".join(f"{n} {h.name}".strip() for n, h in enumerate(hdus))
        raise BrokenFile(
            f"{path} holds no image" + (f" of the name {part}" if part else "")
            + f"; its parts are: {names}"
        )  # fmt: skip
    if not wanted[0].is_image or not wanted[0].size:
        raise BrokenFile(f"{path}[{part}] is no image: name another part")
    return wanted[0]


def _other_format(path: Path) -> _Read:
    file = read_image(path)
    digest = sha256_of(path)
    operand = Operand(path.name, file.image, _unit(str(file.header.get("BUNIT", ""))))
    return _Read(operand, file.header, f"{path.name} ({digest[:12]})", digest)


def _unit(text: str) -> units.UnitBase | None:
    """The unit, also by the names that cameras give it; an unknown one keeps its name."""
    if not text.strip():
        return None
    for spelled, name in _COMMON_UNITS:
        text = spelled.sub(name, text)
    return units.Unit(text.strip(), parse_strict="silent")


def _write(path: Path, result: Operand, header: fits.Header) -> None:
    hdus = fits.HDUList([fits.PrimaryHDU(result.image, header=header)])
    if result.mask is not None:
        hdus.append(fits.ImageHDU(result.mask, name=_MASK))
    if result.variance is not None:
        hdus.append(fits.ImageHDU(result.variance, name=_VARIANCE))
    try:
        with whole_file(path) as part, warnings.catch_warnings():
            warnings.simplefilter("ignore", VerifyWarning)
            hdus.writeto(part, overwrite=True, checksum=True, output_verify="silentfix")
    except OSError as error:
        raise Unusable(f"{path} cannot be written ({error.strerror}): name another file") from error
