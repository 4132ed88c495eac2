"""Stars from Gaia's archive at ESA, where the settings say so.

What belongs here: asking, within bounds, and remembering the answer. What does not: what the
magnitudes are used for (`photometric`).

astroquery speaks its protocol (IVOA TAP). The tests ask a server on this machine that speaks the
same protocol; the real one was not to be reached from there.
"""

import http.client
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astro_assets.errors import SourceUnreachable
from astro_assets.settings import GaiaArchive
from astro_assets.steps import provenance
from astro_assets.store import Store, whole_file

_GRID_DEG = 0.05
"""frames of one pointing ask for the same field"""
_COLUMNS = {
    "ra": "ra_deg",
    "dec": "dec_deg",
    "phot_g_mean_mag": "g_mag",
    "phot_bp_mean_mag": "bp_mag",
    "phot_rp_mean_mag": "rp_mag",
}

_QUERY = (
    f"SELECT TOP 2000 {', '.join(_COLUMNS)} FROM gaiadr3.gaia_source "  # noqa: S608 - of numbers
    "WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), {around}) AND phot_g_mean_mag < {faintest:g} "
    "ORDER BY phot_g_mean_mag"
)


@dataclass(frozen=True, slots=True)
class GaiaStars:
    """Stars of a field, brightest first; all (n,) float64. Positions ICRS at epoch 2016.0."""

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    g_mag: NDArray[np.float64]
    bp_mag: NDArray[np.float64]
    rp_mag: NDArray[np.float64]


@dataclass
class GaiaClient:
    """The archive for one session."""

    settings: GaiaArchive
    store: Store
    _fields: dict[Path, GaiaStars] = field(default_factory=dict, init=False)
    _asked: int = field(default=0, init=False)

    def around(self, ra_deg: float, dec_deg: float, radius_deg: float) -> GaiaStars:
        """The stars around a place, remembered on disk or asked for.

        Raises
        ------
        SourceUnreachable : no answer, or the session has asked for as many fields as it may
        """
        ra_deg, dec_deg = (round(v / _GRID_DEG) * _GRID_DEG for v in (ra_deg, dec_deg))
        radius_deg = math.ceil(radius_deg / _GRID_DEG + 1) * _GRID_DEG
        query = self._query(ra_deg % 360, dec_deg, radius_deg)
        memory = self.store.remembered("gaia") / (
            f"{provenance.fingerprint(self.settings.url, query)}.parquet"
        )
        if memory not in self._fields:
            self._fields[memory] = _as_stars(self._table(memory, query))
        return self._fields[memory]

    def _query(self, ra_deg: float, dec_deg: float, radius_deg: float) -> str:
        around = f"CIRCLE('ICRS', {ra_deg:.4f}, {dec_deg:.4f}, {radius_deg:.4f})"
        return _QUERY.format(around=around, faintest=self.settings.faintest_mag)

    def _table(self, memory: Path, query: str) -> pd.DataFrame:
        try:
            return pd.read_parquet(memory)
        except (OSError, ValueError):
            pass  # not asked for yet, or damaged
        if self._asked >= self.settings.max_fields:
            raise SourceUnreachable(
                f"Gaia's archive was asked for {self._asked} fields, as many as [solving.gaia] "
                "max_fields allows a session"
            )
        self._asked += 1
        table = _ask(self.settings, query)
        with whole_file(memory) as part:
            table.to_parquet(part, index=False)
        return table


def _ask(settings: GaiaArchive, query: str) -> pd.DataFrame:
    """One synchronous query.

    Raises
    ------
    SourceUnreachable : no answer in time, or one that nobody understands
    """
    from requests import RequestException

    opened: list[http.client.HTTPConnection] = []
    try:
        rows = _tap(settings, opened).launch_job(query).get_results()
        return pd.DataFrame(
            {name: np.ma.filled(rows[column].astype(np.float64), np.nan)
             for column, name in _COLUMNS.items()}
        )  # fmt: skip
    except (RequestException, http.client.HTTPException, OSError, ValueError, KeyError,
            IndexError, TypeError, AttributeError) as error:  # fmt: skip
        raise SourceUnreachable(
            f"Gaia's archive at {settings.url} gave no stars ({type(error).__name__}): look at the "
            "network and at [solving.gaia]"
        ) from error
    finally:
        for connection in opened:
            connection.close()


def _tap(settings: GaiaArchive, opened: list[http.client.HTTPConnection]) -> Any:
    """astroquery's TAP client, with a limit to each answer, which it has not by itself.

    opened : gets its connections, which it leaves open
    """
    from astroquery.utils.tap.conn.tapconn import ConnectionHandler, TapConn
    from astroquery.utils.tap.core import TapPlus

    parts = urlsplit(settings.url)
    https = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if https else 80)

    class Bounded(ConnectionHandler):  # type: ignore[misc]
        def get_connection(self, **_: Any) -> http.client.HTTPConnection:
            kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
            opened.append(kind(host, port, timeout=settings.wait_s))
            return opened[-1]

        def get_connection_secure(self, _verbose: bool) -> http.client.HTTPConnection:
            return self.get_connection()

    context, _, tap = parts.path.strip("/").rpartition("/")
    connection = TapConn(
        https,
        host,
        server_context=context,
        port=port,
        sslport=port,
        tap_context=tap,
        connhandler=Bounded(host, port, port),
    )
    return TapPlus(connhandler=connection)


def _as_stars(table: pd.DataFrame) -> GaiaStars:
    return GaiaStars(*(table[name].to_numpy(dtype=np.float64) for name in _COLUMNS.values()))
