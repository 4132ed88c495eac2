"""A cube with a plane for each filter, as telescope.org gives it, is as many frames.

What belongs here: which planes a file has. The file itself stays as it was downloaded. What does
not: reading pixels (`inputs`).
"""

from pathlib import Path

from astropy.io import fits

_BLOCK = 2880
_CARD = 80
_THREE_AXES = b"NAXIS   =                    3"


def filters_of_planes(path: Path) -> tuple[str, ...]:
    """The filters of a cube's planes in their order: ``R,V,B`` in FILTER for three planes.

    Empty for everything else, also for a cube whose FILTER does not name each plane.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_BLOCK)
        cards = (start[n : n + _CARD] for n in range(0, len(start), _CARD))
        if not any(card.startswith(_THREE_AXES) for card in cards):
            return ()
        header = fits.getheader(path)
    except OSError:  # whoever opens the frame tells what is wrong with it
        return ()
    names = [name.strip() for name in str(header.get("FILTER", "")).split(",")]
    return tuple(names) if len(names) == header["NAXIS3"] and all(names) else ()
