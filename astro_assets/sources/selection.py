"""The wish list: which of the frames that a source holds are wanted.

What belongs here: the rule (pure). What does not: what a kind of source offers at all (its
`place`), how the wishes are written down (`settings`).
"""

from collections.abc import Callable, Collection, Mapping

from astro_assets.frame import FrameKind, key_part, target_key
from astro_assets.settings.sources import Selection
from astro_assets.sources.protocol import NO_NIGHT, Placement

_WITHOUT_FILTER = (FrameKind.BIAS, FrameKind.DARK)


def wants(selection: Selection, placement: Placement, facts: Mapping[str, str]) -> bool:
    """Whether a placed file is on the wish list.

    What nobody has said of a file does not rule it out: a frame too many can be deleted, one that
    was never fetched may be gone. So calibration frames, which have no target, stay wanted for
    whatever target is wished for, and so do lights whose filter only their header tells.

    Parameters
    ----------
    facts : FITS keywords that are known before the file is here
    """
    kind, night = placement.kind, placement.night
    target = placement.target if kind is FrameKind.LIGHT else None
    colour = None if kind in _WITHOUT_FILTER else facts.get("FILTER")
    return (
        (not selection.kinds or kind in selection.kinds)
        and (
            night == NO_NIGHT
            or (selection.first_night or night) <= night <= (selection.last_night or night)
        )
        and _among(target, selection.targets, target_key)
        and _among(placement.instrument, selection.instruments, _plain)
        and _among(colour, selection.filters, _plain)
    )


def _among(word: str | None, wished: Collection[str], key: Callable[[str], str]) -> bool:
    if not wished or not (word or "").strip():
        return True
    return key(word or "").casefold() in {key(wish).casefold() for wish in wished}


def _plain(word: str) -> str:
    return key_part(word.strip())
