"""`astro-capture check`: each thing that a night needs, with a tick or what to do about it."""

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from astro_assets.capture.cameras.protocol import Shot
from astro_assets.capture.clock import BUILT_UTC, Clock
from astro_assets.capture.config import Config, read_config
from astro_assets.capture.hands import Hands
from astro_assets.capture.plan import own_plan
from astro_assets.errors import AstroAssetsError, NothingToDo


def check_all(config_file: Path, tell: Callable[[str], object]) -> bool:
    """Say for each thing whether it is well. Returns whether all is."""
    try:
        config = read_config(config_file)
    except AstroAssetsError as error:
        tell(f"✗ configuration: {error}")
        return False
    tell(f"✓ configuration: {config_file}")
    for sentence in config.warnings:
        tell(f"! configuration: {sentence}")
    results = [_clock(tell), _disk(config, tell), _night(config, tell), _camera(config, tell)]
    return all(results)


def _clock(tell: Callable[[str], object]) -> bool:
    now_utc = datetime.now(UTC)
    if now_utc < BUILT_UTC:
        tell(f"✗ clock: it shows {now_utc:%Y-%m-%d %H:%M} UTC: set it, or connect the network")
        return False
    tell(f"✓ clock: {now_utc:%Y-%m-%d %H:%M:%S} UTC")
    return True


def _disk(config: Config, tell: Callable[[str], object]) -> bool:
    floor_gb = config.retention.disk_floor_gb
    try:
        config.save.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=config.save):
            pass
        free_gb = shutil.disk_usage(config.save).free / 1e9
    except OSError as error:
        tell(f"✗ disk: {config.save} does not take files ({error.strerror}): correct FILE_SAVE")
        return False
    if free_gb < floor_gb:
        tell(f"✗ disk: {free_gb:.1f} GB are free, the floor is {floor_gb:g} GB: free some space")
        return False
    tell(f"✓ disk: {free_gb:.1f} GB free in {config.save}")
    return True


def _night(config: Config, tell: Callable[[str], object]) -> bool:
    try:
        plan = own_plan(config, datetime.now(UTC))
    except NothingToDo as error:
        tell(f"! night: {error}")
        return True
    except AstroAssetsError as error:
        tell(f"✗ night: {error}")
        return False
    tell(
        f"✓ night of {plan.night}: {plan.dusk_utc:%H:%M} to {plan.dawn_utc:%H:%M} UTC "
        f"({config.twilight} twilight)"
    )
    return True


def _camera(config: Config, tell: Callable[[str], object]) -> bool:
    hands = Hands(config, Clock(), _silent, lambda: None)
    exposure_s = min(config.camera.exposure_s or 1.0, 1.0)
    shot = Shot(exposure_s, config.camera.gain, "Light Frame", {})
    try:
        with tempfile.TemporaryDirectory() as folder:
            taken = hands.expose(shot, Path(folder) / "check")
            sizes = ", ".join(f"{f.suffix} {f.stat().st_size / 1e6:.1f} MB" for f in taken.files)
    except AstroAssetsError as error:
        tell(f"✗ camera: {error}")
        return False
    finally:
        hands.let_go()
    tell(f"✓ camera: {config.camera.name} took a picture of {exposure_s:g} s ({sizes})")
    return True


def _silent(sentence: str) -> None:
    del sentence
