"""Siril's side of the bench: its scripts, as users run them for a night of a mono camera.

What belongs here: scripts and running them. What does not: what is measured of them.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from astro_assets_tests.bench.measured import Cost, of_command
from astro_assets_tests.bench.night import FILTERS, Night

_HEAD = "requires 1.0.0\nset32bits\n"


def linked(folder: Path, name: str, files: Sequence[Path]) -> Path:
    """A fresh folder of links to ``files``, as Siril's scripts expect theirs."""
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for file in files:
        (place / file.name).symlink_to(file.resolve())
    return place


def prepare(night: Night, folder: Path) -> None:
    """A working folder with nothing made in it."""
    linked(folder, "bias", night.biases)
    linked(folder, "dark", night.darks)
    for name in FILTERS.values():
        linked(folder, f"flat_{name}", night.flats(name))
        linked(folder, f"light_{name}", night.lights(name))
    shutil.rmtree(folder / "process", ignore_errors=True)


def run(folder: Path, lines: str) -> Cost:
    """Run a script in ``folder``."""
    script = folder / "bench.ssf"
    script.write_text(_HEAD + lines, encoding="utf-8")
    return of_command(["siril-cli", "-d", str(folder), "-s", str(script)], folder)


def combine(kind: str, normalised: str = "-nonorm") -> str:
    """Lines that combine the frames of one folder, 3 σ."""
    return (
        f"cd {kind}\nconvert {kind} -out=../process\ncd ../process\n"
        f"stack {kind} rej 3 3 {normalised} -out={kind}_stacked\ncd ..\n"
    )


def flat(name: str) -> str:
    """Lines for one filter's flats: bias off, scaled, combined."""
    kind = f"flat_{name}"
    return (
        f"cd {kind}\nconvert {kind} -out=../process\ncd ../process\n"
        f"preprocess {kind} -bias=bias_stacked\n"
        f"stack pp_{kind} rej 3 3 -norm=mul -out={kind}_stacked\ncd ..\n"
    )


def masters() -> str:
    """Lines for all masters of the night."""
    return combine("bias") + combine("dark") + "".join(flat(name) for name in FILTERS.values())


def calibrate(name: str) -> str:
    """Lines that calibrate one filter's lights, with the cosmetic correction from the dark."""
    kind = f"light_{name}"
    return (
        f"cd {kind}\nconvert {kind} -out=../process\ncd ../process\n"
        f"preprocess {kind} -dark=dark_stacked -flat=flat_{name}_stacked -cc=dark\ncd ..\n"
    )


def register_and_stack(name: str) -> str:
    """Lines that register one filter's calibrated lights and combine them, 3 σ."""
    kind = f"pp_light_{name}"
    return (
        f"cd process\nregister {kind}\n"
        f"stack r_{kind} rej 3 3 -norm=addscale -output_norm -out=stack_{name}\ncd ..\n"
    )


def color() -> str:
    """Lines that stretch and save: this release's scripts cannot put three channels together."""
    lines = "".join(
        f"load stack_{name}\nmtf 0 0.05 1\nsavetif stretched_{name}\n" for name in FILTERS.values()
    )
    return f"cd process\n{lines}cd ..\n"


def whole_night() -> str:
    """Lines from raw frames to the picture."""
    names = FILTERS.values()
    lights = "".join(calibrate(name) + register_and_stack(name) for name in names)
    return masters() + lights + color()
