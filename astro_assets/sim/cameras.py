"""The simulated telescopes: a camera each, and the field that it looks at.

What belongs here: numbers. What does not: what is done with them.
"""

from dataclasses import dataclass, replace

BRIGHTNESS = tuple[float, float, float]
"""A number for each of the channels R, G, B."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera on its telescope.

    shape : (ny, nx) of the light-sensitive pixels
    exposure_s : of a light frame; the hot pixels' and columns' charges are for this time
    star_e_per_s : electrons per second of a star of magnitude 10, in R, G, B
    sky_e_per_s, extended_e_per_s : per pixel, of the sky and of the extended object's brightest
    hot_e : from, to: charge of hot pixels in ``exposure_s``
    vignetting : light lost in the corners, as a fraction
    """

    name: str
    shape: tuple[int, int]
    scale_arcsec: float
    bayer: str | None
    gain_e_per_adu: float
    read_noise_e: float
    bias_adu: float
    dark_e_per_s: float
    exposure_s: float
    fwhm_px: float
    star_e_per_s: BRIGHTNESS
    sky_e_per_s: BRIGHTNESS
    extended_e_per_s: float
    vignetting: float = 0.28
    dust_specks: int = 7
    hot_fraction: float = 1.0e-3
    dead_fraction: float = 3.0e-4
    bad_columns: int = 3
    hot_e: tuple[float, float] = (250.0, 6000.0)
    response_rms: float = 0.006
    cosmic_rays_per_mpx_s: float = 0.8

    @property
    def saturation_adu(self) -> int:
        """The highest count that the converter gives."""
        return 65535

    def halved(self) -> "Camera":
        """The same field of view with half as many pixels along each side."""
        ny, nx = self.shape
        return replace(self, shape=(ny // 4 * 2, nx // 4 * 2), scale_arcsec=self.scale_arcsec * 2)


@dataclass(frozen=True, slots=True)
class Field:
    """A target and its centre (ICRS).

    faint_per_deg2 : stars that no catalogue has, drawn as they grow in number with magnitude
    """

    target: str
    ra_deg: float
    dec_deg: float
    faint_per_deg2: float = 0.0


NGC_7000 = Field("NGC 7000", 314.75, 44.40)
M_31 = Field("M 31", 10.685, 41.269)
M_42 = Field("M 42", 83.82, -5.39)
M_45 = Field("M 45", 56.75, 24.12)

T20 = Camera(
    name="T20",
    shape=(960, 1120),
    scale_arcsec=3.5,
    bayer=None,
    gain_e_per_adu=1.4,
    read_noise_e=8.0,
    bias_adu=1020.0,
    dark_e_per_s=0.05,
    exposure_s=180.0,
    fwhm_px=2.8,
    star_e_per_s=(400.0, 420.0, 360.0),
    sky_e_per_s=(0.50, 0.45, 0.40),
    extended_e_per_s=1.6,
)
CLUSTER = Camera(
    name="cluster",
    shape=(700, 700),
    scale_arcsec=15.0,
    bayer=None,
    gain_e_per_adu=1.6,
    read_noise_e=9.0,
    bias_adu=1200.0,
    dark_e_per_s=0.2,
    exposure_s=60.0,
    fwhm_px=2.6,
    star_e_per_s=(1300.0, 1350.0, 1100.0),
    sky_e_per_s=(2.4, 2.0, 1.5),
    extended_e_per_s=1.6,
)
VESPERA = Camera(
    name="Vespera Pro",
    shape=(1200, 1200),
    scale_arcsec=3.3,
    bayer="GBRG",
    gain_e_per_adu=1.0,
    read_noise_e=4.0,
    bias_adu=600.0,
    dark_e_per_s=0.4,
    exposure_s=10.0,
    fwhm_px=3.1,
    star_e_per_s=(12000.0, 16000.0, 11000.0),
    sky_e_per_s=(5.0, 7.0, 5.5),
    extended_e_per_s=75.0,
    vignetting=0.01,
    dust_specks=0,
)
ASI = Camera(
    name="ZWO ASI294MC",
    shape=(900, 1200),
    scale_arcsec=6.0,
    bayer="RGGB",
    gain_e_per_adu=1.1,
    read_noise_e=4.5,
    bias_adu=500.0,
    dark_e_per_s=0.8,
    exposure_s=10.0,
    fwhm_px=3.0,
    star_e_per_s=(9000.0, 12000.0, 8500.0),
    sky_e_per_s=(6.0, 8.0, 6.0),
    extended_e_per_s=260.0,
    vignetting=0.35,
)
