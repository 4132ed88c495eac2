"""What is there, in short: stacks, targets, nights, cameras, each with a digest of its inputs.

Sensors ask this at every look, so it reads small files only and imports no heavy library.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from astro_assets.steps import provenance, versions
from astro_assets.store import Store

STACK_STATE = "stack.json"
COMPOSITE_STATE = "composite.json"


def stacks(store: Store) -> Iterator[Mapping[str, Any]]:
    """What each session's stack says of itself, by source and session."""
    for path in sorted(store.root.glob(f"stacks/*/*/{STACK_STATE}")):
        yield json.loads(path.read_text(encoding="utf-8"))


def composites(store: Store) -> Iterator[Mapping[str, Any]]:
    """What each composite says of itself, by target."""
    for path in sorted(store.root.glob(f"composites/*/{COMPOSITE_STATE}")):
        yield json.loads(path.read_text(encoding="utf-8"))


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
    """Nights with sessions, each with a digest of all that its report shows."""
    made = {state["target"]: state["digest"] for state in composites(store)}
    parts: dict[str, list[str]] = {}
    for state in stacks(store):
        shown = json.dumps(state, sort_keys=True) + made.get(state["target"], "")
        parts.setdefault(state["night"], []).append(shown)
    return {
        night: provenance.fingerprint(versions.NIGHT_REPORT, *sorted(shown))
        for night, shown in parts.items()
    }


def cameras(store: Store, source: str) -> Mapping[str, str]:
    """Camera configurations with a master dark or flat, each with a digest of these."""
    from astro_assets.steps.matching import masters

    by_camera: dict[str, list[str]] = {}
    for master in masters(store, source):
        if master.kind in ("dark", "flat"):
            by_camera.setdefault(master.camera, []).append(master.digest)
    return {
        camera: provenance.fingerprint(versions.BAD_PIXEL_MAP, *sorted(digests))
        for camera, digests in by_camera.items()
    }
