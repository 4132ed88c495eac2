"""Series that are no night: bias, darks, flats, a linearity series.

What belongs here: which exposures a series has. What does not: the camera (`hands`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from astro_assets.capture.cameras.protocol import Shot
from astro_assets.capture.clock import Clock
from astro_assets.capture.config import Config
from astro_assets.capture.frames import NightFolder
from astro_assets.capture.hands import Hands
from astro_assets.errors import CameraFailed
from astro_assets.night import night_of_local

BIAS, DARK, FLAT = "Bias Frame", "Dark Frame", "Flat Field"
LINEARITY_STEPS = 16
_NAMES = {BIAS: "bias", DARK: "dark", FLAT: "flat"}
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Series:
    """So many frames of each setting."""

    image_type: str
    exposures_s: Sequence[float]
    gains: Sequence[int | None]
    count: int
    filter: str = ""

    def shots(self) -> Iterator[Shot]:
        facts = {"FILTER": self.filter} if self.filter else {}
        for gain in self.gains:
            for exposure_s in self.exposures_s:
                for _ in range(self.count):
                    yield Shot(exposure_s, gain, self.image_type, facts)

    def __len__(self) -> int:
        return len(self.gains) * len(self.exposures_s) * self.count


def linearity(longest_s: float, gain: int | None, count: int = 2) -> Series:
    """Flats at evenly growing exposures up to ``longest_s``, for gain and linearity."""
    steps = [longest_s * (n + 1) / LINEARITY_STEPS for n in range(LINEARITY_STEPS)]
    return Series(FLAT, steps, [gain], count, filter="linearity")


def take_series(
    config: Config, series: Series, now: datetime, say: Callable[[str], None]
) -> tuple[int, int]:
    """Take a series now. Returns how many frames there are, and how many failed three times.

    ``now`` in the site's own civil time names the night's folder.

    Raises
    ------
    StorageFailed : the card does not take them
    """
    clock = Clock()
    folder = NightFolder(config.save, night_of_local(now).isoformat())
    folder.open()
    hands = Hands(config, clock, say, lambda: None)
    taken = failed = 0
    try:
        for shot in series.shots():
            if _took(shot, folder, hands, clock, say):
                taken += 1
                say(f"{taken} of {len(series)}: {shot.image_type}, {shot.exposure_s:g} s")
            else:
                failed += 1
    finally:
        hands.let_go()
    return taken, failed


def _took(
    shot: Shot, folder: NightFolder, hands: Hands, clock: Clock, say: Callable[[str], None]
) -> bool:
    for _ in range(_TRIES):
        try:
            taken = hands.expose(shot, folder.part())
        except CameraFailed as error:
            say(str(error))
            time.sleep(hands.pause_s())
            continue
        folder.publish(taken.files, _NAMES[shot.image_type], clock.now_utc(), taken.facts)
        return True
    return False
