"""Reading keywords: the header first, then what others know; numbers and texts as people write.

What belongs here: single values. What does not: which keyword means what (`header`).
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NOBODY_SAID = ("undefined", "unknown", "none", "n/a")
_LONGEST_EXPOSURE_S = 1e6


class Keywords:
    """The header first, then the facts; blanks and ``undefined`` count as absent."""

    def __init__(self, *layers: Mapping[str, Any]) -> None:
        # Imported here, for it takes a quarter of a second and the sources read no headers.
        from astropy.io.fits import VerifyError

        self.layers = layers
        self._breaks_the_standard = VerifyError

    def layer(self, number: int) -> "Keywords":
        """One of the layers by itself."""
        return Keywords(self.layers[number])

    def values(self, *names: str) -> Iterator[Any]:
        """What is said under any of the names, the best first."""
        for layer in self.layers:
            for name in names:
                try:
                    value = layer.get(name)
                except self._breaks_the_standard:  # such a card says nothing
                    continue
                if value is not None:
                    yield value

    def comment(self, name: str) -> str:
        """What stands beside the value in a FITS header, in small letters."""
        for layer in self.layers:
            comments = getattr(layer, "comments", None)
            if comments is not None and name in layer:
                try:
                    return str(comments[name]).lower()
                except self._breaks_the_standard:
                    continue
        return ""

    def text(self, *names: str) -> str | None:
        texts = (str(value).strip() for value in self.values(*names))
        return next((text for text in texts if text and text.lower() not in _NOBODY_SAID), None)

    def number(self, *names: str) -> float | None:
        numbers = map(number, self.values(*names))
        return next((number for number in numbers if number is not None), None)

    def positive(self, *names: str) -> float | None:
        numbers = map(number, self.values(*names))
        return next((number for number in numbers if number is not None and number > 0), None)

    def seconds(self, *names: str) -> float | None:
        numbers = map(number, self.values(*names))
        return next((n for n in numbers if n is not None and 0 <= n <= _LONGEST_EXPOSURE_S), None)


def number(value: Any) -> float | None:
    """A finite number, also from text such as ``1/50``, ``10.0s`` or ``120000 ms``."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        value = repr(value)
    match = re.fullmatch(r"\s*([-+.\deE]+)(?:\s*/\s*([.\d]+))?\s*(ms|s|sec)?\s*", str(value))
    if match is None:
        return None
    try:
        found = float(match[1]) / float(match[2] or 1)
    except (ValueError, ZeroDivisionError):
        return None
    if not math.isfinite(found):
        return None
    return found / 1000 if match[3] == "ms" else found
