"""What `growth` measures, each in a process of its own.

What belongs here: making so much of something, and the timed call. What does not: sizes, pages.
"""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import astro_assets  # noqa: F401 - before numpy, whose threads it limits

# isort: split

import pandas as pd
from dagster import DagsterInstance

from astro_assets.frame import FrameKind
from astro_assets.imaging.warm import warm
from astro_assets.settings import Settings
from astro_assets.sources.batches import look
from astro_assets.steps import solve
from astro_assets.steps.bad_pixels import make_bad_pixel_map
from astro_assets.steps.calibrate import calibrate_session
from astro_assets.steps.composite import compose_target
from astro_assets.steps.fetch import fetch_raw
from astro_assets.steps.frames import write_table
from astro_assets.steps.inventory import STACK_STATE, targets
from astro_assets.steps.masters import make_master
from astro_assets.steps.matching import masters
from astro_assets.steps.recipe import RECIPES
from astro_assets.steps.stack import stack_session
from astro_assets.store import Store
from astro_assets_tests.bench.ours import SOURCE, opened
from astro_assets_tests.defs.conftest import Hand
from astro_assets_tests.defs.known import make_folder, record_requests, requests_of

_FRAMES_A_SESSION = 60


def _fetched(settings: Settings, store: Store, kinds: tuple[FrameKind, ...]) -> list[str]:
    """Fetch the batches of these kinds; their keys."""
    source = settings.source(SOURCE)
    keys = []
    for batch in look(source, settings):
        if batch.kind in kinds:
            fetch_raw(settings, source, batch.key, lambda _: None)
            keys.append(batch.key)
    return keys


def warm_session(settings_file: str) -> None:
    """The kernels, and the night's masters."""
    warm()
    settings, store = opened(settings_file)
    for kind in (FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT):
        for key in _fetched(settings, store, (kind,)):
            make_master(store, SOURCE, key, kind, None)
    camera = next(master.camera for master in masters(store, SOURCE) if master.kind == "dark")
    make_bad_pixel_map(store, SOURCE, camera)


def session(settings_file: str) -> dict[str, float]:
    """A session from its source to its stack."""
    settings, store = opened(settings_file)
    (key,) = _fetched(settings, store, (FrameKind.LIGHT,))
    calibrate_session(store, SOURCE, key, RECIPES["folder"], None)
    summary = solve.solve_session(
        store, SOURCE, key, settings.limits, settings.solving, lambda _: None
    )
    stack_session(store, SOURCE, key, settings.solving)
    return {"accepted": float(str(summary.figures["accepted"]))}


def warm_composite(settings_file: str, count: str) -> None:
    """One night's stack, under the dates of so many nights."""
    warm_session(settings_file)
    session(settings_file)
    _, store = opened(settings_file)
    (made,) = store.root.glob(f"stacks/{SOURCE}/*/{STACK_STATE}")
    state = json.loads(made.read_text(encoding="utf-8"))
    for number in range(1, int(count)):
        night = f"{2027 + number // 28}-01-{1 + number % 28:02}"
        key = night + state["session"][10:]
        folder = made.parent.with_name(key)
        shutil.copytree(made.parent, folder)
        other = {**state, "session": key, "night": night, "digest": f"{number}"}
        (folder / STACK_STATE).write_text(json.dumps(other), encoding="utf-8")


def composite(settings_file: str, count: str) -> dict[str, float]:
    """The target's composite of all its nights."""
    settings, store = opened(settings_file)
    (target,) = targets(store)
    compose_target(store, target, settings.grids, settings.solving)
    return {"nights": float(count)}


@cache
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="growth-"))


def warm_one_more_session(count: str) -> None:
    """Tables of so many frames, in the table of all."""
    store = Store(_scratch())
    for number in range(int(count) // _FRAMES_A_SESSION + 1):
        _put(store, number)
    write_table(store)
    _put(store, 99_999)


def _put(store: Store, number: int) -> None:
    key = f"2026-11-20_NGC{number:05d}_camera"
    path = store.solved("archive", key) / solve.TABLE
    path.parent.mkdir(parents=True)
    rows = pd.DataFrame({"frame": [f"light_{k:03}" for k in range(_FRAMES_A_SESSION)]})
    rows = rows.assign(source="archive", session=key, accepted=True, solved=True, fwhm_px=3.0)
    rows.to_parquet(path, index=False)


def one_more_session(count: str) -> dict[str, float]:
    """What the morning does with the table after one more session."""
    del count
    store = Store(_scratch())
    before = {path: path.stat().st_ino for path in store.frames_table.rglob("*.parquet")}
    write_table(store)
    rewritten = sum(path.stat().st_ino != inode for path, inode in before.items())
    shutil.rmtree(_scratch())
    return {"rewritten": float(rewritten)}


@cache
def _hand(count: int) -> Hand:
    root = _scratch()
    settings = make_folder(root, max(1, count // _FRAMES_A_SESSION), _FRAMES_A_SESSION)
    (root / "dagster").mkdir()
    instance = DagsterInstance.local_temp(str(root / "dagster"))
    record_requests(instance, requests_of(settings))
    return Hand.over(settings, instance)


def warm_tick(count: str) -> None:
    """So many known frames, and the look at which their headers were read."""
    _hand(int(count)).tick("watch_archive")


def tick(count: str) -> dict[str, float]:
    """One look of the sensor at what is known."""
    requests, _ = _hand(int(count)).tick("watch_archive")
    return {"requests": float(len(requests))}
