"""The reduction's science: arrays and tables in, arrays and tables out.

No files and no orchestrator here. Conventions, for every module:

- images are float32 of shape (ny, nx), in electrons unless a name says ``_adu``;
- masks are uint8 of the same shape with the bits of `mask.MaskBit`, 0 is good;
- pixel coordinates are 0-based, x along the second axis, (0, 0) is the first pixel's centre;
- functions return new arrays and never change their arguments.
"""

from astro_assets.imaging.memory import keep_freed_planes

keep_freed_planes()
