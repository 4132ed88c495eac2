"""Plate solutions from nova.astrometry.net, where the settings say so.

What belongs here: asking, within bounds, and remembering every answer. What does not: when to ask
(`solving`), our own fit to its answer (`imaging.solve`).

astroquery speaks its protocol; only star positions are sent, not the picture, and the submission is
not public. The tests ask a server on this machine that speaks the same protocol; the real one was
not to be reached from there.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.wcs import WCS

from astro_assets.errors import NotSolved, SourceUnreachable
from astro_assets.imaging.catalogue import CatalogueStars
from astro_assets.imaging.solve import Hint
from astro_assets.settings import Nova
from astro_assets.steps import provenance
from astro_assets.store import Store, write_json

_STARS = 200
_TIMEOUT_S = 20.0
"""for one answer"""
_MOST_FAILURES = 3
"""of the line, or of the service; what it says of the stars is asked once"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service found.

    wcs : its solution
    stars : the catalogue stars that it matched; without magnitudes
    """

    wcs: WCS
    stars: CatalogueStars


@dataclass
class NovaClient:
    """The service for one session: what it has answered before, and how often it may be asked.

    key : the API key
    """

    settings: Nova
    key: str = field(repr=False)
    store: Store
    asked: int = 0
    out_of_order: str = ""

    def solve(self, stars: pd.DataFrame, shape: tuple[int, int], hint: Hint) -> Answer:
        """The answer for these stars, remembered or asked for.

        Raises
        ------
        NotSolved : it found nothing, does not answer, or must not be asked again
        """
        memory = self._memory(stars, shape, hint)
        known = _read(memory)
        if "wcs" in known:
            return _answer(known)
        if known.get("final") or known.get("failures", 0) >= _MOST_FAILURES:
            raise NotSolved(
                f"nova.astrometry.net was asked {known['failures']} times ({known['reason']}) and "
                f"is not asked again for this frame; to ask again, delete {memory}"
            )
        if self.out_of_order:
            raise NotSolved(self.out_of_order)
        if self.asked >= self.settings.max_frames:
            raise NotSolved(
                f"nova.astrometry.net was asked for {self.asked} frames of this session, as many "
                "as [solving.nova] max_frames allows"
            )
        self.asked += 1
        return self._ask(stars, shape, hint, memory, known)

    def _ask(
        self,
        stars: pd.DataFrame,
        shape: tuple[int, int],
        hint: Hint,
        memory: Path,
        known: Mapping[str, Any],
    ) -> Answer:
        """Ask, and write down what came of it, whatever that is."""
        failures = known.get("failures", 0) + 1
        try:
            found = _submit(self.settings, self.key, stars, shape, hint)
        except SourceUnreachable as error:
            write_json(memory, {"failures": failures, "reason": str(error), "final": False})
            self.out_of_order = (
                f"nova.astrometry.net: {error}; it is not asked again in this run: look at "
                "[solving.nova] and at the service's own page"
            )
            raise NotSolved(self.out_of_order) from error
        if found is None:
            reason = "it finds no place that fits"
            write_json(memory, {"failures": failures, "reason": reason, "final": True})
            raise NotSolved(
                f"nova.astrometry.net finds no place that fits these {len(stars)} stars"
            )
        write_json(memory, found)
        return _answer(found)

    def _memory(self, stars: pd.DataFrame, shape: tuple[int, int], hint: Hint) -> Path:
        """The file that remembers the answer for just these stars."""
        seen = stars[["x", "y"]].head(_STARS).round(2).to_csv(index=False)
        digest = provenance.fingerprint(self.settings.url, str(shape), str(hint), seen)
        return self.store.remembered("nova") / f"{digest}.json"


def _read(memory: Path) -> dict[str, Any]:
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _submit(
    settings: Nova, key: str, stars: pd.DataFrame, shape: tuple[int, int], hint: Hint
) -> dict[str, Any] | None:
    """Log in, submit, wait, fetch; None when the service finds nothing.

    Raises
    ------
    SourceUnreachable : no answer, or not one that can be understood
    """
    from astroquery import astrometry_net
    from astroquery.exceptions import TimeoutError as TookTooLong
    from requests import RequestException

    client = _client(settings)
    bright = stars.head(_STARS)
    try:
        with astrometry_net.conf.set_temp("api_key", key):
            header, submission = client.solve_from_source_list(
                bright["x"].to_numpy() + 1,
                bright["y"].to_numpy() + 1,
                shape[1],
                shape[0],
                solve_timeout=settings.wait_s,
                verbose=False,
                return_submission_id=True,
                **_hints(hint),
            )
            if not header:
                return None
            return {"wcs": header.tostring(), "stars": _matched(client, settings, submission)}
    except TookTooLong as error:
        raise SourceUnreachable(f"no answer within {settings.wait_s:g} s") from error
    except RequestException as error:
        raise SourceUnreachable(f"the connection failed ({type(error).__name__})") from error
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError, OSError) as error:
        # What it said may hold what we sent, so only its kind is told.
        raise SourceUnreachable(
            f"it refused the key or the stars, or said what nobody understands "
            f"({type(error).__name__})"
        ) from error


def _client(settings: Nova) -> Any:
    from astroquery.astrometry_net.core import AstrometryNetClass

    class Client(AstrometryNetClass):  # type: ignore[misc]
        """With a limit to each answer, and no memory of its own."""

        URL = settings.url
        API_URL = f"{settings.url}/api"

        def _request(self, *words: Any, **options: Any) -> Any:
            options |= {"timeout": _TIMEOUT_S, "cache": False}
            answer = super()._request(*words, **options)
            answer.raise_for_status()
            return answer

    return Client()


def _hints(hint: Hint) -> dict[str, Any]:
    words: dict[str, Any] = {"publicly_visible": "n", "allow_commercial_use": "n"}
    if hint.scale_arcsec:
        words |= {
            "scale_units": "arcsecperpix", "scale_type": "ev", "scale_est": hint.scale_arcsec,
            "scale_err": 20.0,
        }  # fmt: skip
    if hint.ra_deg is not None and hint.dec_deg is not None:
        words |= {"center_ra": hint.ra_deg, "center_dec": hint.dec_deg, "radius": hint.radius_deg}
    return words


def _matched(client: Any, settings: Nova, submission: object) -> list[list[float]]:
    """RA and Dec of the catalogue stars that it matched."""
    job = client._request("GET", f"{settings.url}/api/submissions/{submission}").json()["jobs"][0]  # noqa: SLF001 - as astroquery's own functions do
    table = client._request("GET", f"{settings.url}/corr_file/{job}").content  # noqa: SLF001
    with fits.open(io.BytesIO(table)) as hdus:
        rows = hdus[1].data
        pairs = np.column_stack([rows["index_ra"], rows["index_dec"]]).astype(np.float64)
    return [[float(ra), float(dec)] for ra, dec in pairs]


def _answer(known: Mapping[str, Any]) -> Answer:
    header = fits.Header.fromstring(known["wcs"])
    # Its header is that of no image, which astropy would warn of.
    plain = fits.Header()
    plain["NAXIS"] = 2
    plain["NAXIS1"], plain["NAXIS2"] = header.get("IMAGEW", 0), header.get("IMAGEH", 0)
    plain.update({k: v for k, v in header.items() if _tells_the_place(k)})
    places = np.array(known["stars"], dtype=np.float64).reshape(-1, 2)
    no_mag = np.full(len(places), np.nan, dtype=np.float32)
    return Answer(WCS(plain), CatalogueStars(places[:, 0], places[:, 1], no_mag))


def _tells_the_place(keyword: str) -> bool:
    starts = ("CTYPE", "CRVAL", "CRPIX", "CUNIT", "CD", "PC", "A_", "B_", "AP_", "BP_", "EQUINOX")
    return keyword.startswith(starts) or keyword in ("LONPOLE", "LATPOLE", "WCSAXES", "RADESYS")
