"""A frame's star table as the bytes of a FITS binary table.

What belongs here: numbers and truth values in columns. What does not: other tables, which astropy
writes (`fits_file`); it makes this one's header, too, once for all frames.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from astro_assets.fits_file import data_sum, head

_BLOCK = 2880
_TRUE, _FALSE = ord("T"), ord("F")


def star_table(stars: pd.DataFrame, name: str = "STARS") -> bytes:
    """The table's HDU with checksums; its columns are float64 or bool."""
    columns = {str(column): stars[column].to_numpy() for column in stars.columns}
    logical = tuple(values.dtype == np.bool_ for values in columns.values())
    stored = [(column, "u1" if is_bool else ">f8")
              for column, is_bool in zip(columns, logical, strict=True)]  # fmt: skip
    rows = np.empty(len(stars), stored)
    for (column, values), is_bool in zip(columns.items(), logical, strict=True):
        rows[column] = np.where(values, _TRUE, _FALSE) if is_bool else values
    header = fits.Header.fromstring(_header(name, tuple(columns), logical))
    header["NAXIS2"] = len(rows)
    content = rows.tobytes()
    total = data_sum(np.frombuffer(content, np.uint8))
    return head(header, total) + content + bytes(-len(content) % _BLOCK)


@lru_cache(maxsize=8)
def _header(name: str, columns: tuple[str, ...], logical: tuple[bool, ...]) -> str:
    """As astropy makes it, of a table without rows."""
    empty: dict[str, NDArray[Any]] = {
        column: np.empty(0, np.bool_ if is_bool else np.float64)
        for column, is_bool in zip(columns, logical, strict=True)
    }
    return str(fits.BinTableHDU(Table(empty), name=name).header.tostring())
