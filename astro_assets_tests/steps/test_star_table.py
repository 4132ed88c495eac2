"""Star tables, written without astropy's detour: what astropy would write."""

import io

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table

from astro_assets.fits_file import write_hdu
from astro_assets.steps.star_table import star_table


@pytest.mark.parametrize("count", [0, 1, 51, 400])
def test_the_bytes_are_those_of_astropy(count: int) -> None:
    rng = np.random.default_rng(count)
    stars = pd.DataFrame(
        {"x": rng.normal(size=count), "saturated": rng.random(count) > 0.5, "missing": 0.0}
    )
    stars.loc[stars.index[:1], "x"] = np.nan
    theirs = io.BytesIO()
    write_hdu(theirs, fits.BinTableHDU(Table.from_pandas(stars), name="STARS"))
    ours = fits.PrimaryHDU().header.tostring().encode() + star_table(stars)
    with (
        fits.open(io.BytesIO(ours), checksum=True) as mine,
        fits.open(io.BytesIO(ours[:2880] + theirs.getvalue())) as other,
    ):
        mine.verify("exception")
        cards = [
            [card.image for card in hdus[1].header.cards if card.keyword != "CHECKSUM"]
            for hdus in (mine, other)
        ]
        assert [card[:30] for card in cards[0]] == [card[:30] for card in cards[1]]
        assert mine[1].header["DATASUM"] == other[1].header["DATASUM"]
        assert mine[1].data.tobytes() == other[1].data.tobytes()
        assert mine[1].data["saturated"].tolist() == stars["saturated"].tolist()
    assert len(ours) == 2880 + len(theirs.getvalue())
