"""Siril on frames of ours: registered on their stars and stacked with a clip.

What belongs here: running Siril. What does not: figures.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets_tests.validation.peers import Peer

_TIMEOUT_S = 300
_SCRIPT = """requires 1.0.0
set32bits
setext fit
{debayer}register {name}
stack r_{name} rej 3 3 -norm=addscale -weighted -out=result
"""


def siril_stack(
    peer: Peer, folder: Path, frames: Sequence[NDArray[np.uint16]], *, bayer: str = ""
) -> NDArray[np.float32]:
    """The stack on the first frame's pixels, in counts: (ny, nx), or (3, ny, nx) of Bayer frames.

    Raises
    ------
    FileNotFoundError : Siril made no stack
    """
    for number, frame in enumerate(frames, start=1):
        header = fits.Header({"BAYERPAT": bayer}) if bayer else None
        fits.PrimaryHDU(frame, header).writeto(folder / f"light_{number:05d}.fit")
    script = folder / "stack.ssf"
    plain = _SCRIPT.format(debayer="", name="light_")
    colour = _SCRIPT.format(debayer="preprocess light_ -cfa -debayer\n", name="pp_light_")
    script.write_text(colour if bayer else plain, encoding="ascii")
    subprocess.run(
        [peer.program, "-d", folder, "-s", script],
        cwd=folder, capture_output=True, timeout=_TIMEOUT_S, check=False,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    with fits.open(folder / "result.fit") as hdus:
        return np.asarray(hdus[0].data, np.float32) * np.float32(65535)
