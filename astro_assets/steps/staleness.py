"""Which products of a source would be made with something else now.

What belongs here: the questions that sensors and `sync` ask, cheap enough for every look. What
does not: the record (`made_with`), the decision (`defs.decide`).
"""

from collections.abc import Collection, Iterator
from datetime import date
from functools import cached_property
from pathlib import Path

from astro_assets.frame import CALIBRATION_KINDS, FrameKind
from astro_assets.sources.manifest import FILE_NAME
from astro_assets.steps import made_with
from astro_assets.steps.master_files import MasterFile, masters
from astro_assets.steps.matching import Masters
from astro_assets.steps.recipe import Recipe
from astro_assets.store import Store


class Staleness:
    """Of one source, at one look; the masters are read when they are first asked for."""

    def __init__(self, store: Store, source: str, recipe: Recipe, gain: float | None) -> None:
        self._store = store
        self._source = source
        self._recipe = recipe
        self._gain = gain
        self._of_masters: dict[FrameKind, made_with.Inputs] = {}

    def session(self, key: str) -> str:
        """The chain of a session as it would be made now; see `made_with`.

        Raises
        ------
        BrokenFile : a file in the masters' folder is none
        """
        folder = self._store.calibrated(self._source, key)
        inputs = made_with.session_inputs(self._masters, key, self._recipe, self._gain)
        return inputs.chain(folder / made_with.FILE, folder / made_with.LEDGER, _night(key))

    def session_chains(self, key: str) -> tuple[str, ...]:
        """The chain that a session has, and the one that it would have now."""
        found = made_with.read(self._store.calibrated(self._source, key) / made_with.FILE)
        return (found.chain, self.session(key)) if found else (self.session(key),)

    def master(self, kind: FrameKind, key: str) -> str:
        """The chain of a master. Raises `BrokenFile`."""
        path = self._store.master(self._source, kind, key)
        return self._master_inputs(kind).chain(path.with_suffix(".json"), path, _night(key))

    def unlisted(self, listed: Collection[str], kind: FrameKind) -> Iterator[tuple[str, str]]:
        """Batches of a kind that their source does not list any more and that are stale or were.

        Their raw frames are here, so that they can be made again. Key and chain of each.
        """
        for key in self._made(kind):
            if key in listed or not (self._store.raw(self._source, key) / FILE_NAME).is_file():
                continue
            chain = self.session(key) if kind is FrameKind.LIGHT else self.master(kind, key)
            if chain:
                yield key, chain

    def _made(self, kind: FrameKind) -> list[str]:
        if kind is FrameKind.LIGHT:
            return _names(self._store.calibrated(self._source, "any").parent, made_with.LEDGER)
        if self._recipe.arrives_calibrated or kind not in CALIBRATION_KINDS:
            return []
        folder = self._store.master(self._source, kind, "any").parent
        return sorted(path.stem for path in folder.glob("*.fits") if "~" not in path.stem)

    @cached_property
    def _available(self) -> list[MasterFile]:
        return masters(self._store, self._source)

    @cached_property
    def _masters(self) -> Masters:
        return Masters(self._available)

    def _master_inputs(self, kind: FrameKind) -> made_with.Inputs:
        if kind not in self._of_masters:
            self._of_masters[kind] = made_with.master_inputs(
                self._available, kind, self._recipe, self._gain
            )
        return self._of_masters[kind]


def _night(key: str) -> date:
    return date.fromisoformat(key[:10])


def _names(folder: Path, product: str) -> list[str]:
    return sorted(path.parent.name for path in folder.glob(f"*/{product}"))
