"""What time it is, for a night at its own pace or, in rehearsals, at many times that.

What belongs here: now, sleeping, whether the clock can be believed. What does not: dusk and dawn.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from astro_assets.errors import NothingToDo

BUILT_UTC = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that runs this program right shows an earlier time."""
_LOOK_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Clock:
    """The system's clock, or a rehearsal's that begins at ``start_utc`` and runs faster.

    speed : seconds of the night per second
    """

    speed: float = 1.0
    start_utc: datetime | None = None
    _began_s: float = field(default_factory=time.monotonic)

    def now_utc(self) -> datetime:
        if self.start_utc is None:
            return datetime.now(UTC)
        return self.start_utc + timedelta(seconds=(time.monotonic() - self._began_s) * self.speed)

    def real_s(self, seconds: float) -> float:
        """So many seconds of the night, as seconds to wait for."""
        return seconds / self.speed

    def sleep(self, seconds: float, stop: Callable[[float], bool]) -> bool:
        """Wait so many seconds of the night; True, at once, when ``stop`` says so.

        stop : waits for so many real seconds at most and says whether to stop
        """
        return stop(max(0.0, self.real_s(seconds)))


def wait_until_set(
    clock: Clock, known_utc: datetime, patience_s: float, stop: Callable[[float], bool]
) -> None:
    """Wait until the clock shows no time before ``known_utc``.

    A Pi has no battery for its clock: after a power cut it shows an old time until it has heard
    from the network.

    Parameters
    ----------
    known_utc : a moment that has passed for sure: the plan's, or the last frame's

    Raises
    ------
    NothingToDo : told to stop, or the clock was not set within ``patience_s``
    """
    give_up_s = time.monotonic() + clock.real_s(patience_s)
    earliest = max(known_utc, BUILT_UTC)
    while clock.now_utc() < earliest:
        if time.monotonic() > give_up_s or clock.sleep(_LOOK_AGAIN_S, stop):
            raise NothingToDo(
                f"the clock shows {clock.now_utc():%Y-%m-%d %H:%M} UTC, which is before "
                f"{earliest:%Y-%m-%d %H:%M}: set it, or let it reach a time server"
            )
