"""A frame: what is known of one exposure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from astro_assets.frame.keys import key_part
from astro_assets.frame.kinds import FrameKind
from astro_assets.frame.places import Place


@dataclass(frozen=True, slots=True)
class Frame:
    """What is known of one exposure. None stands for "nobody said".

    ``start_utc`` is the start of the exposure; ``ra_deg`` and ``dec_deg`` are where the telescope
    believed it pointed (ICRS); ``calibration_status`` is CALSTAT (letters B, D, F); ``place`` is
    where the telescope stands; ``doubts`` has a sentence for each thing that the header says and
    that was not taken at its word; ``rotator_deg`` is the rotator's mechanical angle.
    """

    kind: FrameKind
    target: str | None
    start_utc: datetime | None
    exposure_s: float | None
    filter: str | None
    instrument: str | None
    binning: int
    gain_setting: float | None
    offset_setting: float | None
    sensor_temperature_c: float | None
    bayer_pattern: str | None
    ra_deg: float | None
    dec_deg: float | None
    pixel_scale_arcsec: float | None
    gain_e_per_adu: float | None
    read_noise_e: float | None
    saturation_adu: float | None
    pedestal_adu: float
    calibration_status: str
    telescope: str | None = None
    observer: str | None = None
    place: Place | None = None
    doubts: tuple[str, ...] = ()
    read_mode: str | None = None
    rotator_deg: float | None = None

    @property
    def middle_utc(self) -> datetime | None:
        """The middle of the exposure."""
        if self.start_utc is None or self.exposure_s is None:
            return self.start_utc
        return self.start_utc + timedelta(seconds=self.exposure_s / 2)

    @property
    def camera(self) -> str:
        """The camera configuration that a bad-pixel map and the masters belong to."""
        parts = [self.instrument or "camera", f"bin{self.binning}"]
        if self.gain_setting is not None:
            parts.append(f"gain{self.gain_setting:g}")
        if self.offset_setting is not None:
            parts.append(f"offset{self.offset_setting:g}")
        return key_part("_".join(parts))
