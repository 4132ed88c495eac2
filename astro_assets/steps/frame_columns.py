"""The columns of the table of every frame, each with its type, whatever a session has filled.

What belongs here: names, order and types, and a session's table brought to them. What does not:
files (`frames`), what the columns mean (docs/reduction.md).
"""

from dataclasses import fields

import pandas as pd
import pyarrow as pa

from astro_assets.imaging.ephemeris import Circumstances
from astro_assets.imaging.figures import Figures

_TIME = pa.timestamp("us", tz="UTC")
_TYPES = {"str": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
_LABELS = ("source", "session", "night", "target", "frame", "camera")
_VERDICT = {
    "gain_e_per_adu": pa.float64(),
    "read_noise_e": pa.float64(),
    "start_utc": _TIME,
    "sensor_temperature_c": pa.float64(),
    "accepted": pa.bool_(),
    "stage": pa.string(),
    "reason": pa.string(),
    "weight": pa.float64(),
    "transparency": pa.float64(),
    "transparency_best": pa.float64(),
    "solved": pa.bool_(),
}
_PLACE = {
    "site": pa.string(),
    "latitude_deg": pa.float64(),
    "longitude_deg": pa.float64(),
    "elevation_m": pa.float64(),
    "telescope": pa.string(),
    "observer": pa.string(),
}

SCHEMA = pa.schema(
    {
        **dict.fromkeys(_LABELS, pa.string()),
        **_VERDICT,
        **{field.name: _TYPES[getattr(field.type, "__name__", "")] for field in fields(Figures)},
        "transparency_source": pa.float64(),
        "middle_utc": _TIME,
        **{field.name: pa.float64() for field in fields(Circumstances)},
        **_PLACE,
    }
)
"""One for all sessions, so that their files read as one table."""


def in_columns(table: pd.DataFrame) -> pa.Table:
    """A session's table with all columns, in order; those that nobody has filled are empty.

    A column that is none of these, as an older version's, stays in the session's own table.

    Raises
    ------
    pa.ArrowInvalid : a column holds what its type does not
    """
    given = pa.Table.from_pandas(table, preserve_index=False)
    columns = [
        given[field.name].cast(field.type)
        if field.name in given.column_names
        else pa.nulls(len(given), field.type)
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
