"""Which filter goes into which channel of a colour picture.

What belongs here: the table of mixtures, and the choice with its reason. What does not: the
arithmetic (`color`), the filters' names (`filters`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from astro_assets.errors import NothingToDo
from astro_assets.imaging.filters import BROAD_NM, LUMINANCE, NARROW_NM, by_band, continuum_of

Three = tuple[str, str, str]

_NATURAL: tuple[tuple[str, Three], ...] = (
    ("RGB", ("R", "G", "B")),
    ("RVB", ("R", "V", "B")),
    ("irg", ("SDSS I", "SDSS R", "SDSS G")),
)
"""Broad bands for red, green and blue: the colours that stars have."""
_LINES: tuple[tuple[str, Three], ...] = (
    ("SHO", ("SII", "Ha", "OIII")),
    ("HOO", ("Ha", "OIII", "OIII")),
)
"""Narrow bands as they are commonly shown: colours that tell lines apart."""
_EMISSION = "Ha"
"""The line that is added to red where its continuum is there to be taken off."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """What becomes of the filters that there are.

    name : such as ``LRGB``, ``HaRGB``, ``SHO``, ``two bands``, ``grey``
    channels : the filters for red, green and blue; an empty name is the mean of the two others
    luminance : the filter that brightness is taken from, or None
    emission : the filter whose line is added to red, and the one that shows its continuum, or None
    natural : whether the channels show the colours that stars have
    reason : why this one, a sentence
    """

    name: str
    channels: Three
    luminance: str | None
    emission: tuple[str, str] | None
    natural: bool
    reason: str

    @property
    def filters(self) -> tuple[str, ...]:
        """All that are used, each once."""
        more = (self.luminance or "", *(self.emission or ()))
        return tuple(dict.fromkeys(name for name in (*self.channels, *more) if name))


def mixture_of(filters: Iterable[str]) -> Mixture:
    """The mixture for these filters.

    A complete set of broad bands comes first, with luminance and Hα where they are there; then
    narrow bands; then whatever there is by wavelength. With two bands green is their mean; one
    band alone makes a grey picture, to which Hα adds its red.

    Raises
    ------
    NothingToDo : there is no filter
    """
    names = list(filters)
    if not names:
        raise NothingToDo("there is no stack to make a colour picture of")
    bands = by_band(names)
    chosen = _natural(bands) or _lines(bands) or _by_wavelength(bands) or _grey(bands, names)
    left_out = [name for name in names if name not in chosen.filters]
    if not left_out:
        return chosen
    return Mixture(
        chosen.name, chosen.channels, chosen.luminance, chosen.emission, chosen.natural,
        f"{chosen.reason}; not used: {', '.join(left_out)}",
    )  # fmt: skip


def _natural(bands: dict[str, str]) -> Mixture | None:
    for name, three in _NATURAL:
        if all(band in bands for band in three):
            emission = _emission(bands, three[0])
            luminance = bands.get(LUMINANCE)
            more = ("Ha" if emission else "") + ("L" if luminance else "")
            reason = f"{_listed(three)} are all there"
            reason += ", luminance gives the brightness" if luminance else ""
            reason += ", Hα less its continuum is added to red" if emission else ""
            return Mixture(
                more + name, _filters(bands, three), luminance, emission, natural=True,
                reason=reason,
            )  # fmt: skip
    return None


def _lines(bands: dict[str, str]) -> Mixture | None:
    for name, three in _LINES:
        if all(band in bands for band in three):
            reason = f"{_listed(three)} are there, and not all of red, green and blue"
            return Mixture(name, _filters(bands, three), None, None, natural=False, reason=reason)
    return None


def _by_wavelength(bands: dict[str, str]) -> Mixture | None:
    """Long waves to red, short ones to blue."""
    known = {**BROAD_NM, **NARROW_NM}
    placed = sorted((band for band in bands if band in known), key=lambda band: -known[band])
    if len(placed) == 2 and _EMISSION in placed and continuum_of(_EMISSION, placed):
        return None  # the line and its continuum are one place in the spectrum: grey and red
    if len(placed) < 2:
        return None
    middle = placed[len(placed) // 2] if len(placed) > 2 else ""
    three = (placed[0], middle, placed[-1])
    how = "by wavelength, no usual set being complete"
    reason = how if middle else f"two bands {how}: green is their mean"
    name = "by wavelength" if middle else "two bands"
    natural = all(band in BROAD_NM for band in three if band)
    channels = (bands[three[0]], bands[middle] if middle else "", bands[three[2]])
    return Mixture(name, channels, None, None, natural, reason)


def _grey(bands: dict[str, str], names: list[str]) -> Mixture:
    broad = continuum_of(_EMISSION, bands) if _EMISSION in bands else None
    if broad is not None:
        only = bands.get(LUMINANCE) or bands[broad]
        return Mixture(
            "Ha on grey", (only,) * 3, None, (bands[_EMISSION], bands[broad]), natural=False,
            reason=f"{broad} and Hα are there: grey, and Hα less its continuum is added to red",
        )  # fmt: skip
    only = bands.get(LUMINANCE) or next(iter(bands.values()), names[0])
    reason = "one filter alone has no colour" if len(names) == 1 else "no two filters tell colours"
    return Mixture("grey", (only,) * 3, None, None, natural=False, reason=reason)


def _emission(bands: dict[str, str], red: str) -> tuple[str, str] | None:
    """Hα and its continuum: the red channel's own band where that holds the line."""
    broad = continuum_of(_EMISSION, [red]) or continuum_of(_EMISSION, bands)
    if _EMISSION not in bands or broad is None:
        return None
    return bands[_EMISSION], bands[broad]


def _filters(bands: dict[str, str], three: Three) -> Three:
    return bands[three[0]], bands[three[1]], bands[three[2]]


def _listed(bands: Iterable[str]) -> str:
    *most, last = dict.fromkeys(bands)
    return f"{', '.join(most)} and {last}"
