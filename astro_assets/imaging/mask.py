"""The meaning of each bit of the mask plane that travels with every calibrated image."""

from enum import IntFlag


class MaskBit(IntFlag):
    """Why a pixel is not to be trusted. Zero is a good pixel."""

    BAD = 1
    """found by detection on masters"""
    USER = 2
    """named by the user"""
    SATURATED = 4
    COSMIC_RAY = 8
    INTERPOLATED = 16
    """its value is a neighbourhood's, for the eye"""
    NO_DATA = 32
    OUTLIER = 64
    """satellite, plane or ray that stacking rejected"""


UNUSABLE = MaskBit.BAD | MaskBit.USER | MaskBit.SATURATED | MaskBit.COSMIC_RAY | MaskBit.NO_DATA
"""Bits that keep a pixel out of measurements and stacks."""
