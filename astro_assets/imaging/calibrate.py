"""From raw counts to electrons, with a mask.

What belongs here: bias, dark, flat, saturation, unit, and the refusal of masters that would make
silent nonsense. What does not: which master belongs to which frame (`steps`), cosmic rays, the
interpolation for the eye (`repair`).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astro_assets.errors import NoMatchingMaster
from astro_assets.imaging.convert import Numbers, Planes, convert
from astro_assets.imaging.threads import over_rows

_SAME_EXPOSURE = 0.01
"""Exposures that differ by less than this share count as equal."""


@dataclass(frozen=True, slots=True)
class Masters:
    """The masters for one frame; None stands for "not used".

    bias : (ny, nx), ADU
    dark : (ny, nx), ADU in ``dark_exposure_s``
    dark_has_bias : the dark still holds the bias
    flat : (ny, nx), relative, median 1
    bad_pixels : (ny, nx) uint8, `MaskBit`, OR-ed into the mask
    bias_is_off : the frame came without its bias, so neither is taken off again
    """

    bias: NDArray[Any] | None = None
    dark: NDArray[Any] | None = None
    dark_exposure_s: float | None = None
    dark_has_bias: bool = False
    flat: NDArray[Any] | None = None
    bad_pixels: NDArray[np.uint8] | None = None
    bias_is_off: bool = False


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A science image.

    image_e : (ny, nx) float32, electrons, finite; 0 where the mask says NO_DATA
    mask : (ny, nx) uint8, `MaskBit`
    steps : what was done, in order, a few words each
    """

    image_e: NDArray[np.float32]
    mask: NDArray[np.uint8]
    steps: tuple[str, ...]


def calibrate(
    raw_adu: NDArray[Any],
    *,
    masters: Masters,
    exposure_s: float,
    gain_e_per_adu: float,
    saturation_adu: float | None,
    pedestal_adu: float = 0.0,
    overscan_adu: NDArray[np.float32] | None = None,
) -> Calibrated:
    """``(raw − overscan − pedestal − bias − dark · t / t_dark) / flat · gain``, and the mask.

    Saturation is seen in the raw values. A dark is scaled only once it is free of bias: it came
    so, or the bias is there to be taken off it; and only down, since a dark shorter than the
    frame would put more noise in than it takes out.

    Parameters
    ----------
    raw_adu : (ny, nx), any number type
    masters : those that are to be used
    exposure_s : of the frame
    gain_e_per_adu : electrons per ADU
    saturation_adu : raw value from which a pixel is saturated; None when nobody knows
    pedestal_adu : constant that earlier software added to the frame (and not to the masters);
        its size counts, since programs disagree about the sign of PEDESTAL
    overscan_adu : (ny,), zero level of each row, which the masters' frames have lost likewise

    Raises
    ------
    NoMatchingMaster : a master has another size; a dark does not fit the exposure; there is
        neither bias nor dark to take the bias off before a flat is divided out; the bias would be
        taken off twice
    ValueError : the gain is not above zero, or the frame is not 2-d
    """
    _check(raw_adu, masters, gain_e_per_adu)
    plan = _dark_plan(masters, exposure_s)
    steps = _taken_off(masters, plan, pedestal_adu)
    zero_adu = np.full(raw_adu.shape[0], abs(pedestal_adu), np.float32)
    if overscan_adu is not None:
        steps = (f"overscan {float(np.median(overscan_adu)):.1f} ADU", *steps)
        zero_adu += overscan_adu
    if masters.flat is not None:
        steps += ("flat",)
    if masters.bad_pixels is not None:
        steps += ("bad pixels",)
    image_e = np.empty(raw_adu.shape, np.float32)
    mask = np.empty(raw_adu.shape, np.uint8)
    native, planes = _native(raw_adu), _planes(masters, plan)
    numbers = Numbers(
        np.float32(plan.bias_factor),
        np.float32(plan.dark_factor),
        np.float32(gain_e_per_adu),
        np.float32(math.inf if saturation_adu is None else saturation_adu),
    )
    over_rows(
        lambda top, bottom: convert(native, planes, zero_adu, numbers, top, bottom, image_e, mask),
        raw_adu.shape[0],
    )
    return Calibrated(image_e, mask, (*steps, f"gain {gain_e_per_adu:g} e/ADU"))


def adopt(
    image_adu: NDArray[Any],
    *,
    gain_e_per_adu: float,
    saturation_adu: float | None,
    pedestal_adu: float = 0.0,
) -> Calibrated:
    """A frame that arrives calibrated: unit and mask only.

    Parameters
    ----------
    image_adu : (ny, nx), any number type; what is not finite has no data
    gain_e_per_adu, saturation_adu, pedestal_adu : as for `calibrate`

    Raises
    ------
    ValueError : the gain is not above zero, or the frame is not 2-d
    """
    done = calibrate(
        image_adu,
        masters=Masters(),
        exposure_s=0.0,
        gain_e_per_adu=gain_e_per_adu,
        saturation_adu=saturation_adu,
        pedestal_adu=pedestal_adu,
    )
    return Calibrated(done.image_e, done.mask, ("adopted as calibrated", *done.steps))


@dataclass(frozen=True, slots=True)
class _DarkPlan:
    """The bias and dark terms: ``bias_factor · bias + dark_factor · dark``."""

    bias_factor: float
    dark_factor: float


def _check(raw_adu: NDArray[Any], masters: Masters, gain_e_per_adu: float) -> None:
    if raw_adu.ndim != 2:
        raise ValueError(f"expected a 2-d frame, found the shape {raw_adu.shape}")
    if not gain_e_per_adu > 0:
        raise ValueError(f"expected a gain above zero, found {gain_e_per_adu} e/ADU")
    planes = {
        "bias": masters.bias,
        "dark": masters.dark,
        "flat": masters.flat,
        "bad-pixel map": masters.bad_pixels,
    }
    for name, plane in planes.items():
        if plane is not None and plane.shape != raw_adu.shape:
            raise NoMatchingMaster(
                f"the master {name} has {plane.shape[::-1]} pixels and the frame "
                f"{raw_adu.shape[::-1]}: take one of the same camera and binning"
            )
    if masters.bias_is_off and (
        masters.bias is not None or (masters.dark is not None and masters.dark_has_bias)
    ):
        raise NoMatchingMaster(
            "the frame has lost its bias already and would lose it twice: take a dark that is free "
            "of bias, and no master bias"
        )
    bias_stays = masters.bias is None and masters.dark is None and not masters.bias_is_off
    if masters.flat is not None and bias_stays:
        raise NoMatchingMaster(
            "a flat cannot be divided out while the bias is still in the frame: add a master bias, "
            "or a dark with its bias"
        )


def _dark_plan(masters: Masters, exposure_s: float) -> _DarkPlan:
    if masters.dark is None:
        return _DarkPlan(0.0 if masters.bias is None else 1.0, 0.0)
    if masters.dark_exposure_s is None or not masters.dark_exposure_s > 0:
        raise NoMatchingMaster("the master dark has no exposure time: add EXPTIME to its header")
    dark_s = masters.dark_exposure_s
    factor = exposure_s / dark_s
    same = abs(factor - 1) <= _SAME_EXPOSURE
    if factor > 1 and not same:
        raise NoMatchingMaster(
            f"the dark of {dark_s:g} s is shorter than the frame of {exposure_s:g} s: take darks "
            f"of {exposure_s:g} s or more"
        )
    if masters.dark_has_bias:
        return _plan_with_bias_in_dark(masters, exposure_s, factor, same)
    if masters.bias is None and not masters.bias_is_off:
        raise NoMatchingMaster(
            "the master dark is free of bias, but there is no master bias to go with it: add one"
        )
    return _DarkPlan(0.0 if masters.bias is None else 1.0, 1.0 if same else factor)


def _plan_with_bias_in_dark(
    masters: Masters, exposure_s: float, factor: float, same: bool
) -> _DarkPlan:
    if same:  # the bias goes with the dark; taking the master bias off as well would do it twice
        return _DarkPlan(0.0, 1.0)
    if masters.bias is None:
        raise NoMatchingMaster(
            f"the dark of {masters.dark_exposure_s:g} s still holds its bias and cannot be scaled "
            f"to {exposure_s:g} s: add a master bias, or darks of {exposure_s:g} s"
        )
    return _DarkPlan(1.0 - factor, factor)


def _taken_off(masters: Masters, plan: _DarkPlan, pedestal_adu: float) -> tuple[str, ...]:
    """What to call what is taken off each pixel."""
    steps: tuple[str, ...] = (f"pedestal {abs(pedestal_adu):g} ADU",) if pedestal_adu else ()
    if plan.bias_factor:
        steps += ("bias",)
    if plan.dark_factor:
        scaled = "" if plan.dark_factor == 1 else f" × {plan.dark_factor:.4g}"
        bias_in_it = masters.dark_has_bias and not plan.bias_factor
        steps += (("bias and dark" if bias_in_it else "dark") + scaled,)
    return steps


def _planes(masters: Masters, plan: _DarkPlan) -> Planes:
    return Planes(
        _plane(masters.bias if plan.bias_factor else None),
        _plane(masters.dark if plan.dark_factor else None),
        _plane(masters.flat),
        _plane(masters.bad_pixels, np.uint8),
    )


def _plane(image: ArrayLike | None, dtype: type = np.float32) -> NDArray[Any]:
    if image is None:
        return np.empty((0, 0), dtype)
    return np.ascontiguousarray(image, dtype)


def _native(raw: NDArray[Any]) -> NDArray[Any]:
    """16-bit counts as they are (in this machine's byte order), anything else as float32."""
    dtype = np.uint16 if raw.dtype.kind == "u" and raw.dtype.itemsize == 2 else np.float32
    return np.ascontiguousarray(raw, dtype)
