"""What all sources' trees share: the size of a night, and the making of its frames.

What belongs here: counts of frames, moments, and work on several threads. What does not: names
and headers.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from astro_assets.sim.cameras import Camera
from astro_assets.sim.defects import Defects
from astro_assets.sim.truth_writer import TruthWriter

Size = Literal["demo", "small"]
Job = Callable[[], None]


@dataclass(frozen=True, slots=True)
class NightPlan:
    """What a source's tree is to be made from.

    lights_per_filter : of a camera with filters; lights : of a colour camera
    calibrations : frames of each of bias, dark and flat
    """

    writer: TruthWriter
    seed: int
    night: date
    defects: Defects
    size: Size
    capture: Literal["done", "on-arm"]

    @property
    def lights_per_filter(self) -> int:
        return 6 if self.size == "demo" else 4

    @property
    def lights(self) -> int:
        return 12 if self.size == "demo" else 6

    @property
    def calibrations(self) -> int:
        return 12 if self.size == "demo" else 6

    def camera(self, camera: Camera) -> Camera:
        return camera if self.size == "demo" else camera.halved()

    def moment(self, hour: int, minute: int, *, seconds: float = 0.0) -> datetime:
        """A moment of the evening, UTC; hours beyond 23 are past midnight."""
        noon = datetime.combine(self.night, time(0), tzinfo=UTC)
        return noon + timedelta(hours=hour, minutes=minute, seconds=seconds)


def work(jobs: Iterable[Job]) -> None:
    """Do all jobs on two threads; the first error is raised after the others have ended."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def fits_time(moment: datetime) -> str:
    """DATE-OBS, UTC, with milliseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def sexagesimal(ra_deg: float, dec_deg: float) -> tuple[str, str]:
    """Right ascension in hours and declination in degrees, as telescopes write them."""
    hundredths = round(ra_deg / 15 * 360000)
    ra_text = (
        f"{hundredths // 360000:02d} {hundredths // 6000 % 60:02d} {hundredths % 6000 / 100:05.2f}"
    )
    tenths = round(abs(dec_deg) * 36000)
    sign = "-" if dec_deg < 0 else "+"
    return (
        ra_text,
        f"{sign}{tenths // 36000:02d} {tenths // 600 % 60:02d} {tenths % 600 / 10:04.1f}",
    )
