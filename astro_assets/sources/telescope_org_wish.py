"""An observation to ask telescope.org for, and what the site is known to refuse.

What belongs here: the request as data, pure. What does not: where a target is and whether it rises
(`steps`), sending (`telescope_org_submit`).
"""

from dataclasses import dataclass

from astro_assets.sources.telescope_org_lists import TELESCOPES

LONGEST_EXPOSURE_S = 180.0
_USUAL = ("BVR", "B", "V", "R")
_PIRATES = ("Colour", "Blue", "Green", "Red")
_SAME = dict(zip(_PIRATES, _USUAL, strict=True))
FILTERS = {"coast": _USUAL, "pirate": _PIRATES}
"""of the telescopes whose filters are known; the others have the usual ones, and maybe more"""
_CENTI = 100 * 3600
"""hundredths of a second in an hour or a degree"""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image of one place (ICRS) through one filter.

    name : of the object, as it is shown there
    telescope : one of `TELESCOPES`
    filter : as that telescope calls it
    """

    name: str
    ra_deg: float
    dec_deg: float
    telescope: str
    filter: str
    exposure_s: float
    comments: str = ""

    @property
    def exposure_ms(self) -> int:
        return round(1000 * self.exposure_s)

    @property
    def ra(self) -> str:
        """``hh:mm:ss.ss``"""
        return _clock(round(self.ra_deg / 15 * _CENTI) % (24 * _CENTI))

    @property
    def dec(self) -> str:
        """``±dd:mm:ss.ss``"""
        size = round(abs(self.dec_deg) * _CENTI)
        return ("-" if self.dec_deg < 0 and size else "+") + _clock(size)


def _clock(hundredths: int) -> str:
    seconds, fraction = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{fraction:02d}"


def usual_filter(name: str) -> str:
    """PIRATE's ``Colour`` as the others' ``BVR``, in small letters, to compare."""
    return {key.lower(): value for key, value in _SAME.items()}.get(name.lower(), name).lower()


def refusal(telescope: str, filter_name: str, exposure_s: float) -> str:
    """Why the site would not take this; empty when nothing speaks against it."""
    if telescope not in TELESCOPES:
        return f"there is no telescope {telescope!r}; there are {', '.join(TELESCOPES)}"
    if not 0 < exposure_s <= LONGEST_EXPOSURE_S:
        return (
            f"{exposure_s:g} s cannot be exposed; more than 0 s and at most "
            f"{LONGEST_EXPOSURE_S:g} s can"
        )
    return _refused_filter(telescope, filter_name)


def _refused_filter(telescope: str, name: str) -> str:
    known = FILTERS.get(telescope)
    if not name:
        return f"no filter is named; {telescope} has {', '.join(known or _USUAL)}"
    if known is not None and name not in known:
        return f"{telescope} has no filter {name!r}; it has {', '.join(known)}"
    if known is None and name in _PIRATES:
        return f"only pirate has a filter {name!r}; {telescope} says {_SAME[name]!r}"
    return ""
