"""What a product was made from, in its header: enough to know whether it is still right."""

import hashlib
import json
import unicodedata
from pathlib import Path

from astropy.io import fits

from astro_assets import __version__

KEYWORD = "AAPROV"


def fingerprint(*parts: str) -> str:
    """One short hash of everything that a product depends on."""
    # As JSON, so that no two lists of parts read the same.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def stamp(header: fits.Header, step: str, made_from: str) -> None:
    """Write which step of which version made the product, and from what."""
    header[KEYWORD] = (made_from, f"inputs and version of step {step}")
    header["AAVERS"] = (__version__, "astro-assets version")
    header.add_history(f"astro-assets {__version__}: {step}")


def note(header: fits.Header, sentence: str) -> None:
    """Add a sentence to the header's history, whatever signs it holds."""
    header.add_history(fits_text(sentence))


def fits_text(text: str) -> str:
    """``text`` as a FITS header may hold it: printable ASCII; ``?`` for what has no likeness."""
    for sign, likeness in _LIKENESS.items():
        text = text.replace(sign, likeness)
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in plain)


_LIKENESS = {"°": "deg", "×": "x", "−": "-", "″": '"', "′": "'", "σ": "sigma", "–": "-", "…": "...",
             "\n": " ", "\t": " "}  # fmt: skip


def is_current(path: Path, made_from: str) -> bool:
    """Whether the product at ``path`` exists and was made from just this."""
    try:
        return bool(fits.getheader(path).get(KEYWORD) == made_from)
    except (OSError, ValueError, fits.VerifyError):
        return False
