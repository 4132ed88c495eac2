"""What a session or a master was made with, and whether it would be made with the same now.

What belongs here: the small record beside a product, and the state that follows from it. What does
not: the choice of masters (`matching`), asking for a run (`defs.decide`).

The **state** is a hash of all that a product depends on beside its raw frames: the versions of its
steps, the settings that change its pixels, and the masters that matching chooses for its setups.
The **chain** is a hash of the states that it has gone through since it was first made, empty until
the first change. A request's digest holds the chain as it will be after the run, so that it stays
the same when the run has been: a change asks for one run, whether that run fails or not, and a
state that comes back is still another request.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from astro_assets.frame import FrameKind, mosaic_key
from astro_assets.settings.grids import wish_for
from astro_assets.steps import provenance, versions
from astro_assets.steps.master_files import MasterFile
from astro_assets.steps.matching import Masters
from astro_assets.steps.recipe import Recipe
from astro_assets.steps.setup import Setup
from astro_assets.store import write_json

FILE = "made_with.json"
LEDGER = "frames.parquet"
"""beside it, once a session is calibrated"""
_UNKNOWN = "before there were records"


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a product that was made. setups : of its frames, each once"""

    setups: tuple[Setup, ...]
    state: str
    chain: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What products of one step are made with now, beside their raw frames.

    fixed : versions and settings
    masters : that there are
    """

    fixed: tuple[str, ...]
    masters: Masters

    def state(self, setups: Iterable[Setup], night: date) -> str:
        """Of a product of these setups."""
        chosen = {d for setup in setups for d in self.masters.match(setup, night).digests}
        return provenance.fingerprint(*self.fixed, *sorted(chosen))

    def chain(self, record: Path, product: Path, night: date) -> str:
        """The chain of a product once it is as it would be made now; empty for what was not made.

        record : path of the record
        product : path that exists when it was made
        """
        found = read(record)
        if found is None:
            return _next("", _UNKNOWN) if product.exists() else ""
        state = self.state(found.setups, night)
        return found.chain if state == found.state else _next(found.chain, state)


def session_inputs(masters: Masters, session: str, recipe: Recipe, gain: float | None) -> Inputs:
    """Of a session of a source with these masters; of the grids only its target's counts."""
    steps = (versions.CALIBRATED, versions.SOLVED, versions.STACK)
    wish = wish_for(mosaic_key(session.split("_")[1]), recipe.grids)
    return Inputs((*steps, repr(replace(recipe, grids=())), repr(wish), str(gain)), masters)


def master_inputs(
    available: Iterable[MasterFile], kind: FrameKind, recipe: Recipe, gain: float | None
) -> Inputs:
    """Of a master of ``kind``: a bias goes into all else, a dark without its bias into flats."""
    serving = [m for m in available if _serves(m, kind)]
    return Inputs((versions.MASTER, recipe.overscan, str(gain)), Masters(serving))


def _serves(master: MasterFile, kind: FrameKind) -> bool:
    if master.kind == "bias":
        return kind is not FrameKind.BIAS
    return kind is FrameKind.FLAT and master.kind == "dark" and master.bias_subtracted


def note(record: Path, product: Path, night: date, inputs: Inputs, setups: Sequence[Setup]) -> None:
    """Write down what a product was made with, before the product says that it is there."""
    chain = inputs.chain(record, product, night)
    each = tuple(sorted(set(setups), key=repr))
    content = {
        "setups": [setup.as_json() for setup in each],
        "state": inputs.state(each, night),
        "chain": chain,
    }
    write_json(record, content)


def read(record: Path) -> Record | None:
    """The record, read once as long as it stays as it is; None where there is none that is whole.

    One that is damaged is as good as none: the product is made again, and the record with it.
    """
    try:
        status = record.stat()
        return _read(record, status.st_mtime_ns, status.st_ino)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=20_000)
def _read(record: Path, modified_ns: int, inode: int) -> Record:
    del modified_ns, inode  # a part of the key: a file that was written anew is read anew
    content = json.loads(record.read_text(encoding="utf-8"))
    return Record(
        setups=tuple(Setup.from_json(setup) for setup in content["setups"]),
        state=str(content["state"]),
        chain=str(content["chain"]),
    )


def _next(chain: str, state: str) -> str:
    return provenance.fingerprint(chain, state)
