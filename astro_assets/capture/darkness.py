"""Dusk and dawn in a process of its own: ``python -m … NIGHT LATITUDE LONGITUDE TWILIGHT``.

Prints a JSON list of two moments in UTC, or ``null`` where it does not get dark.
"""

import json
import sys
from datetime import date, datetime, timedelta

from astro_assets.night import darkness_between


def main() -> None:
    """Read the words, print the answer."""
    night, latitude, longitude, twilight = sys.argv[1:5]
    # From solar noon to solar noon.
    noon_utc = datetime.fromisoformat(f"{date.fromisoformat(night)}T12:00:00+00:00") - timedelta(
        hours=float(longitude) / 15
    )
    dark = darkness_between(
        noon_utc,
        noon_utc + timedelta(days=1),
        latitude_deg=float(latitude),
        longitude_deg=float(longitude),
        twilight=twilight,  # type: ignore[arg-type]  # checked where it was read
    )
    moments = dark and [dark.dusk_utc.isoformat(), dark.dawn_utc.isoformat()]
    sys.stdout.write(json.dumps(moments) + "\n")


if __name__ == "__main__":
    main()
