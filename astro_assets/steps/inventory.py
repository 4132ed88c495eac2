"""What is there, in short: stacks, targets, nights, cameras, each with a digest of its inputs.

Sensors ask this at every look, so it reads small files only and imports no heavy library.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from astro_assets.errors import BrokenFile
from astro_assets.steps import provenance, versions
from astro_assets.steps.bad_pixel_inputs import chain, map_inputs, stray_lists
from astro_assets.steps.quarantine import notes_by_night
from astro_assets.store import Store

STACK_STATE = "stack.json"
LINES_FOLDER = "line_emission"
"""below a stack's or composite's folder: narrow bands without their continuum"""
COMPOSITE_STATE = "composite.json"


_NEEDED = {
    STACK_STATE: {"source", "session", "night", "target", "filters", "digest"},
    COMPOSITE_STATE: {"target", "nights", "digest"},
}


def stacks(store: Store) -> Iterator[Mapping[str, Any]]:
    """What each session's stack says of itself, by source and session; `damaged` names others."""
    return (state for state in _states(store, STACK_STATE) if not isinstance(state, BrokenFile))


def composites(store: Store) -> Iterator[Mapping[str, Any]]:
    """What each composite says of itself, by target; `damaged` names others."""
    return (state for state in _states(store, COMPOSITE_STATE) if not isinstance(state, BrokenFile))


def damaged(store: Store) -> list[str]:
    """A sentence for each stack or composite that does not say what it is."""
    return [
        str(state)
        for name in (STACK_STATE, COMPOSITE_STATE)
        for state in _states(store, name)
        if isinstance(state, BrokenFile)
    ]


def _states(store: Store, name: str) -> Iterator[Mapping[str, Any] | BrokenFile]:
    pattern = f"stacks/*/*/{name}" if name == STACK_STATE else f"composites/*/{name}"
    for path in sorted(store.root.glob(pattern)):
        try:
            yield read_state(path)
        except BrokenFile as error:
            yield error


def read_state(path: Path) -> Mapping[str, Any]:
    """What a product says of itself. Raises `BrokenFile`."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        missing = _NEEDED[path.name] - state.keys()
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error)
    else:
        if not missing:
            return dict(state)
        reason = f"it lacks {', '.join(sorted(missing))}"
    raise BrokenFile(
        f"{path} is damaged ({reason}) and left out: delete {path.parent}, then materialize it "
        "again in the web UI"
    )


def targets(store: Store) -> Mapping[str, str]:
    """Targets that have stacks, each with a digest of these."""
    by_target: dict[str, list[str]] = {}
    for state in stacks(store):
        if state["filters"]:
            by_target.setdefault(state["target"], []).append(state["digest"])
    return {
        target: provenance.fingerprint(versions.COMPOSITE, *sorted(digests))
        for target, digests in by_target.items()
    }


def nights(store: Store) -> Mapping[str, str]:
    """Nights with sessions or a quarantine, each with a digest of all that its report shows."""
    made = {state["target"]: state["digest"] for state in composites(store)}
    parts: dict[str, list[str]] = {}
    for state in stacks(store):
        shown = json.dumps(state, sort_keys=True) + made.get(state["target"], "")
        parts.setdefault(state["night"], []).append(shown)
    for night, names in notes_by_night(store).items():
        parts.setdefault(night, []).extend(names)
    return {
        night: provenance.fingerprint(versions.FRAMES, versions.NIGHT_REPORT, *sorted(shown))
        for night, shown in parts.items()
    }


def cameras(store: Store, source: str) -> Mapping[str, str]:
    """Camera configurations that can have a bad-pixel map, each with the chain that it will have.

    Raises
    ------
    BrokenFile : something else lies in the masters' folder
    """
    return {
        camera: chain(store.master(source, "bad_pixels", camera), inputs.state)
        for camera, inputs in map_inputs(store, source).items()
    }


def unused_lists(store: Store, source: str) -> list[str]:
    """A sentence for each list of bad pixels that no map of the source takes in."""
    return stray_lists(store, source, map_inputs(store, source))
