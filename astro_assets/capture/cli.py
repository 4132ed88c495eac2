"""`astro-capture`: what a person, or the collecting side over SSH, types on the Pi.

What belongs here: commands, their words and their exit statuses. What does not: what they do.
"""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import click

from astro_assets import __version__
from astro_assets.capture.clock import BUILT_UTC, Clock, wait_until_set
from astro_assets.capture.config import Config, read_config
from astro_assets.capture.lock import holder
from astro_assets.capture.plan import Plan, own_plan, read_plan
from astro_assets.capture.status import Phase, iso, read_status
from astro_assets.errors import AstroAssetsError, NothingToDo
from astro_assets.files import write_text

CONFIG_VARIABLE = "ASTRO_CAPTURE_CONFIG"
_PLAN_ENDING = ".plan.json"
_ARMED_WITHIN_S = 15.0
_STOPPED_WITHIN_S = 30.0
_CLOCK_PATIENCE_S = 6 * 3600.0

log = logging.getLogger("astro-capture")


class _Commands(click.Group):
    """Our errors as one sentence and exit status 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AstroAssetsError as error:
            click.echo(f"astro-capture: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Commands)
@click.version_option(__version__)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    envvar=CONFIG_VARIABLE,
    default=Path("config.ini"),
    show_default=True,
    help="The camera's configuration.",
)
@click.pass_context
def main(ctx: click.Context, config_file: Path) -> None:
    """Take pictures from dusk to dawn."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    ctx.obj = config_file.absolute()


def _config(file: Path) -> Config:
    config = read_config(file)
    for sentence in config.warnings:
        click.echo(f"warning: {sentence}", err=True)
    return config


@main.command()
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), help="A plan's file.")
@click.option("--speed", default=1.0, help="For rehearsals: so many times as fast.")
@click.pass_obj
def run(config_file: Path, plan_file: Path | None, speed: float) -> None:
    """Take tonight's pictures; without a plan, by the configuration's own place.

    Ends with status 3 when it was stopped, or when there is nothing to do.
    """
    from astro_assets.capture.supervise import STOPPED, supervise

    config = _config(config_file)
    try:
        file = (plan_file or _write_own_plan(config)).absolute()
        read_plan(file)
        words = [str(config_file), str(file), repr(speed), repr(time.time())]
        sys.exit(supervise(config.save, words, log.info, speed))
    except NothingToDo as error:
        # No fault: whoever restarts what has failed must not begin it again.
        click.echo(f"astro-capture: {error}", err=True)
        sys.exit(STOPPED)


@main.command()
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), required=True)
@click.option("--speed", default=1.0, help="For rehearsals: so many times as fast.")
@click.pass_obj
def arm(config_file: Path, plan_file: Path, speed: float) -> None:
    """Start a plan's night and let go. Twice is harmless; after dawn it is refused.

    Prints a line of JSON with the night and its state.
    """
    config = _config(config_file)
    plan = read_plan(plan_file)
    if speed == 1 and datetime.now(UTC) >= plan.dawn_utc:
        raise NothingToDo(
            f"the night of {plan.night} ended at {plan.dawn_utc:%Y-%m-%d %H:%M} UTC: "
            "arm the next one"
        )
    state = "already armed"
    if not _busy_with(config, plan):
        # Beside the frames, where `resume` finds it.
        own = _plan_file(config, plan.night)
        write_text(own, plan_file.read_text(encoding="utf-8"))
        _start(config, plan, own, speed)
        state = "armed"
    click.echo(json.dumps({"night": plan.night.isoformat(), "state": state}))


@main.command()
@click.pass_obj
def resume(config_file: Path) -> None:
    """Go on with the armed night after a power cut: for the start of this machine."""
    config = _config(config_file)
    plans = sorted(config.save.glob(f"*{_PLAN_ENDING}")) if config.save.is_dir() else []
    if not plans:
        click.echo("no night was ever armed: nothing to go on with")
        return
    plan = read_plan(plans[-1])
    told = read_status(config.save / plan.night.isoformat()) or {}
    # A clock that is not set yet shows an early time: the night waits for it by itself.
    if datetime.now(UTC) >= plan.dawn_utc or told.get("phase") in (Phase.DONE, Phase.STOPPED):
        click.echo(f"the night of {plan.night} is over: nothing to go on with")
    elif _busy_with(config, plan):
        click.echo(f"the night of {plan.night} is under way already")
    else:
        _start(config, plan, plans[-1], 1.0)
        click.echo(f"the night of {plan.night} goes on")


@main.command()
@click.pass_obj
def status(config_file: Path) -> None:
    """Print what the newest night's capture is doing, as JSON."""
    config = _config(config_file)
    nights = sorted(config.save.glob("*/status.json")) if config.save.is_dir() else []
    content = read_status(nights[-1].parent) if nights else None
    running = config.save.is_dir() and holder(config.save) is not None
    click.echo(json.dumps({"running": running, **(content or {"phase": "never armed"})}, indent=1))


@main.command()
@click.pass_obj
def stop(config_file: Path) -> None:
    """End the capture after the frame in hand."""
    config = _config(config_file)
    pid = holder(config.save) if config.save.is_dir() else None
    if pid is None:
        raise NothingToDo("no capture is under way: nothing to stop")
    os.kill(pid, signal.SIGTERM)
    _wait_for(
        lambda: holder(config.save) is None, _STOPPED_WITHIN_S, "it is still taking its frame"
    )
    click.echo("stopped")


@main.command()
@click.pass_obj
def check(config_file: Path) -> None:
    """Look at configuration, clock, disk, place and camera, and take one picture."""
    from astro_assets.capture.check import check_all

    if not check_all(config_file, click.echo):
        sys.exit(1)


@main.command()
@click.option("--count", default=50, show_default=True)
@click.pass_obj
def bias(config_file: Path, count: int) -> None:
    """Take bias frames: the shortest exposure, with the camera covered."""
    from astro_assets.capture.calibrations import BIAS, Series

    config = _config(config_file)
    _take(config, Series(BIAS, [0.0], [config.camera.gain], count))


@main.command()
@click.option(
    "--exposure", "exposures_s", type=float, multiple=True, help="Seconds; more than one."
)
@click.option("--gain", "gains", type=int, multiple=True, help="More than one is possible.")
@click.option("--count", default=20, show_default=True)
@click.pass_obj
def darks(
    config_file: Path, exposures_s: tuple[float, ...], gains: tuple[int, ...], count: int
) -> None:
    """Take darks at each exposure and gain, with the camera covered."""
    from astro_assets.capture.calibrations import DARK, Series

    config = _config(config_file)
    exposures = list(exposures_s) or [config.camera.exposure_s or config.camera.auto.max_exposure_s]
    _take(config, Series(DARK, exposures, list(gains) or [config.camera.gain], count))


@main.command()
@click.option("--exposure", "exposure_s", type=float, required=True, help="Seconds.")
@click.option("--filter", "filter_name", default="", help="As it is to stand in FILTER.")
@click.option("--count", default=20, show_default=True)
@click.pass_obj
def flats(config_file: Path, exposure_s: float, filter_name: str, count: int) -> None:
    """Take flats: of something evenly bright, half of the full range."""
    from astro_assets.capture.calibrations import FLAT, Series

    config = _config(config_file)
    _take(config, Series(FLAT, [exposure_s], [config.camera.gain], count, filter_name))


@main.command()
@click.option("--longest", "longest_s", type=float, required=True, help="Seconds, near saturation.")
@click.pass_obj
def linearity(config_file: Path, longest_s: float) -> None:
    """Take pairs of flats at growing exposures, for gain and linearity."""
    from astro_assets.capture.calibrations import linearity as series

    config = _config(config_file)
    _take(config, series(longest_s, config.camera.gain))


def _take(config: Config, series: object) -> None:
    from astro_assets.capture.calibrations import Series, take_series
    from astro_assets.capture.lock import camera_lock

    assert isinstance(series, Series)
    with camera_lock(config.save) as free:
        if not free:
            raise NothingToDo("the camera is busy with a capture: stop that one first")
        taken, failed = take_series(config, series, datetime.now().astimezone(), click.echo)
    click.echo(f"{taken} frames are in {config.save}")
    if failed:
        click.echo(f"{failed} exposures failed three times: look above", err=True)
        sys.exit(1)


def _start(config: Config, plan: Plan, file: Path, speed: float) -> None:
    """Start a plan's night for good and wait until it is under way."""
    from astro_assets.capture.detach import start_detached

    words = ["--config", str(config.file), "run", "--plan", str(file), "--speed", repr(speed)]
    unit = f"capture-{_unit_part(config.camera.name)}-{plan.night}"
    start_detached(words, unit, config.save / f"{plan.night}.log")
    _wait_for(lambda: _busy_with(config, plan), _ARMED_WITHIN_S, "the capture did not start")


def _plan_file(config: Config, night: date) -> Path:
    return config.save / f"{night}{_PLAN_ENDING}"


def _write_own_plan(config: Config) -> Path:
    """Tonight's plan beside the frames, so that a restart goes on with the same night."""
    # Which night it is, a clock that is not set cannot say.
    wait_until_set(Clock(), BUILT_UTC, _CLOCK_PATIENCE_S, _slept)
    plan = own_plan(config, datetime.now(UTC))
    file = _plan_file(config, plan.night)
    content = {
        "night": plan.night.isoformat(),
        "dusk_utc": iso(plan.dusk_utc),
        "dawn_utc": iso(plan.dawn_utc),
        "created_utc": iso(plan.created_utc),
    }
    write_text(file, json.dumps(content, indent=1))
    return file


def _slept(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _busy_with(config: Config, plan: Plan) -> bool:
    """Whether a capture of this night is under way."""
    if not config.save.is_dir() or holder(config.save) is None:
        return False
    return read_status(config.save / plan.night.isoformat()) is not None


def _wait_for(done: Callable[[], bool], limit_s: float, sentence: str) -> None:
    give_up_s = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > give_up_s:
            raise NothingToDo(f"{sentence} within {limit_s:g} s: look with astro-capture status")
        time.sleep(0.1)


def _unit_part(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
