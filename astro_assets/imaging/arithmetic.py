"""Sums, differences, products and ratios of images, with unit, mask and variance.

What belongs here: arrays and numbers. What does not: which file and which of its parts (`steps`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from astropy import units
from numpy.typing import NDArray

from astro_assets.errors import Unusable
from astro_assets.imaging.mask import MaskBit

Floats = NDArray[np.float64]


class Operation(StrEnum):
    """What is done, pixel by pixel."""

    ADD = "ADD"
    SUB = "SUB"
    MUL = "MUL"
    DIV = "DIV"
    MIN = "MIN"
    MAX = "MAX"


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of an operation, or its result.

    name : for the sentences
    image : any number of axes and any number type; no axes for a plain number
    unit : None where nobody said
    mask : uint8 of `MaskBit`, of the image's shape or of its last two axes
    variance : in the square of the image's unit; None for what is taken to be exact
    """

    name: str
    image: NDArray[np.generic]
    unit: units.UnitBase | None = None
    mask: NDArray[np.uint8] | None = None
    variance: NDArray[np.generic] | None = None


def calculate(first: Operand, operation: Operation, second: Operand) -> Operand:
    """``first`` and ``second`` pixel by pixel; at least one of them is an image.

    Bits of both masks are OR-ed. Where there is no finite result (division by zero, an input that
    is not finite), the value is NaN and the mask says NO_DATA. Variances add as for independent
    errors, to first order. What has no unit is taken to be in the other's for sums, differences
    and comparisons, and to be a plain number for products and ratios.

    The result is float64 when a pixel of either image may need it (32-bit integers or more,
    float64), else float32.

    Raises
    ------
    Unusable : the sizes differ, or the units cannot be added
    """
    shape = _common_shape(first, second)
    scale, unit = _unit(first, operation, second)
    a, b = _values(first, shape), _values(second, shape) * scale
    var_a, var_b = _variance(first, shape), _scaled(_variance(second, shape), scale**2)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result = np.asarray(_FORMULAS[operation](a, b), np.float64)
        variance = _propagated(operation, a, b, var_a, var_b)
        image = result.astype(_result_type(first, second))
    none = ~np.isfinite(image)
    image[none] = np.nan
    mask = _bits(first, shape) | _bits(second, shape)
    mask[none] |= np.uint8(MaskBit.NO_DATA)
    known = first.mask is not None or second.mask is not None or bool(none.any())
    return Operand(
        name=f"{first.name} {operation} {second.name}",
        image=image,
        unit=unit,
        mask=mask if known else None,
        variance=None if variance is None else np.where(none, np.nan, variance).astype(image.dtype),
    )


_FORMULAS: dict[Operation, Callable[[Floats, Floats], Floats]] = {
    Operation.ADD: np.add,
    Operation.SUB: np.subtract,
    Operation.MUL: np.multiply,
    Operation.DIV: np.divide,
    Operation.MIN: np.minimum,
    Operation.MAX: np.maximum,
}
_PRODUCTS = (Operation.MUL, Operation.DIV)


def _common_shape(first: Operand, second: Operand) -> tuple[int, ...]:
    """Leading axes of one pixel do not count."""
    shapes = [_essential(o.image.shape) for o in (first, second) if o.image.ndim]
    if not shapes:
        raise Unusable("two plain numbers make no image: name a FITS file")
    if len(set(shapes)) > 1:
        sizes = [" × ".join(str(n) for n in shape[::-1]) for shape in shapes]
        raise Unusable(
            f"{first.name} has {sizes[0]} pixels and {second.name} {sizes[1]}: "
            "take two images of one size"
        )
    return max((o.image.shape for o in (first, second)), key=len)


def _essential(shape: tuple[int, ...]) -> tuple[int, ...]:
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _unit(
    first: Operand, operation: Operation, second: Operand
) -> tuple[float, units.UnitBase | None]:
    """What the second is multiplied by to be in the first's unit, and the result's unit."""
    if operation in _PRODUCTS:
        return 1.0, _unit_of_product(first, operation, second)
    if first.unit is None or second.unit is None or first.unit == second.unit:
        return 1.0, second.unit if first.unit is None else first.unit
    try:
        return float(second.unit.to(first.unit)), first.unit
    except (units.UnitConversionError, ValueError) as error:
        raise Unusable(
            f"{first.name} is in {first.unit} and {second.name} in {second.unit}, which have no "
            "sum: bring both to one unit, or take BUNIT out of one"
        ) from error


def _unit_of_product(
    first: Operand, operation: Operation, second: Operand
) -> units.UnitBase | None:
    if first.unit is None and second.unit is None:
        return None
    if second.unit is None:
        return first.unit
    if operation is Operation.MUL and first.unit is None:
        return second.unit
    try:
        unit = first.unit or units.dimensionless_unscaled
        return unit * second.unit if operation is Operation.MUL else unit / second.unit
    except ValueError as error:  # a unit that nobody knows
        raise Unusable(
            f"the units {first.unit} of {first.name} and {second.unit} of {second.name} have no "
            f"{operation}: take BUNIT out of one"
        ) from error


def _values(operand: Operand, shape: tuple[int, ...]) -> Floats:
    values = np.asarray(operand.image, np.float64)
    return values.reshape(shape) if values.ndim else np.full(shape, float(values))


def _variance(operand: Operand, shape: tuple[int, ...]) -> Floats | None:
    if operand.variance is None:
        return None
    return _stretched(np.asarray(operand.variance, np.float64), shape, operand.name, "variance")


def _scaled(values: Floats | None, factor: float) -> Floats | None:
    return None if values is None else values * factor


def _bits(operand: Operand, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if operand.mask is None:
        return np.zeros(shape, np.uint8)
    return np.array(_stretched(operand.mask, shape, operand.name, "mask"), np.uint8)


def _stretched(plane: NDArray[Any], shape: tuple[int, ...], name: str, what: str) -> NDArray[Any]:
    """A plane of the image's last axes for each plane of a cube."""
    try:
        return np.broadcast_to(plane, shape)
    except ValueError as error:
        raise Unusable(
            f"the {what} of {name} has {plane.shape[::-1]} pixels and its image {shape[::-1]}: "
            f"take the {what} out of the file, or mend it"
        ) from error


def _propagated(
    operation: Operation, a: Floats, b: Floats, var_a: Floats | None, var_b: Floats | None
) -> Floats | None:
    """Σ (∂f/∂x)² var x (Bevington & Robinson 2003, Data Reduction and Error Analysis, ch. 3)."""
    if var_a is None and var_b is None:
        return None
    of_a = np.zeros(()) if var_a is None else var_a
    of_b = np.zeros(()) if var_b is None else var_b
    if operation is Operation.MUL:
        variance = of_a * b**2 + of_b * a**2
    elif operation is Operation.DIV:
        variance = (of_a + of_b * (a / b) ** 2) / b**2
    elif operation in (Operation.ADD, Operation.SUB):
        variance = of_a + of_b
    else:
        takes_a = a <= b if operation is Operation.MIN else a >= b
        variance = np.where(takes_a, of_a, of_b)
    return np.broadcast_to(variance, a.shape)


def _result_type(first: Operand, second: Operand) -> np.dtype[np.generic]:
    types = [o.image.dtype for o in (first, second) if o.image.ndim]
    return np.result_type(np.float32, *types)
