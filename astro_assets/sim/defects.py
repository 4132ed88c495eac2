"""One switch per defect of sky, telescope and detector.

What belongs here: the switches. What each one does stands where it is done (`detector`,
`effects`, `plan`, `sky`).
"""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Defects:
    """True: the defect is there. By default the simulated night has all of them.

    Off by default are ``reversed_frames`` (two of the Vespera's lights are stored upside down, as
    after a mount flip, with the Bayer pattern of their header turned too), ``partial_columns`` and
    ``column_groups`` (of columns and rows) and ``telegraph_pixels``, all three in `flaws`.
    """

    bias: bool = True
    dark_current: bool = True
    hot_pixels: bool = True
    dead_pixels: bool = True
    bad_columns: bool = True
    vignetting: bool = True
    dust: bool = True
    pixel_response: bool = True
    read_noise: bool = True
    shot_noise: bool = True
    cosmic_rays: bool = True
    saturation: bool = True
    dithers: bool = True
    rotation: bool = True
    satellite: bool = True
    seeing_drift: bool = True
    cloud: bool = True
    trailing: bool = True
    defocus: bool = True
    extended_object: bool = True
    reversed_frames: bool = False
    partial_columns: bool = False
    column_groups: bool = False
    telegraph_pixels: bool = False

    @classmethod
    def none(cls) -> "Defects":
        """A perfect detector under a perfect sky, the target's nebula or galaxy left out too."""
        return cls(**{field.name: False for field in fields(cls)})

    def with_only(self, *names: str) -> "Defects":
        """No defect but those named."""
        return replace(Defects.none(), **dict.fromkeys(names, True))
