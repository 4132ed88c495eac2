"""Headers for the tests of this folder."""

from astro_assets.frame import Frame, frame_from_header


def frame(facts: dict[str, str] | None = None, **cards: object) -> Frame:
    """A frame from a light's header with these cards; ``_`` in a name stands for ``-``."""
    header = {"EXPTIME": 60.0} | {name.replace("_", "-"): value for name, value in cards.items()}
    return frame_from_header(header, facts)
