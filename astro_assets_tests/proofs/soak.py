"""The soak: thousands of files, a fault for every twentieth, until all are here: exact, and once.

What belongs here: the rounds, what must hold in the end, the page. What does not: the faults
(`gremlins`).

    python -m astro_assets_tests.proofs.soak docs/proofs/soak.md
"""

import argparse
import hashlib
import importlib
import logging
import multiprocessing
import pkgutil
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

from rich.console import Console

from astro_assets import sources
from astro_assets.errors import AstroAssetsError
from astro_assets.settings import Settings, SourceSettings
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.halt import Halt
from astro_assets.sources.kinds import connect
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.records import Status
from astro_assets.store import Store
from astro_assets_tests.faults.far import Servers
from astro_assets_tests.proofs.far_side import SOURCES, FarSide, frame
from astro_assets_tests.proofs.gremlins import BusyProxy, Gremlins, Spoilt, spoilt_answers
from astro_assets_tests.proofs.page import table, write_page

_PER_SESSION = 60
_MOST_ROUNDS = 60
_PATIENCE_S = 1.0
_FAULTS = 0.05


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a soak of one source has shown.

    wrong : published files whose bytes are not those of the far file
    lost : far files that are not here
    twice : far files that are published more than once
    """

    letter: str
    server: str
    files: int
    faults: dict[str, int]
    rounds: int
    failures: int
    quarantined: int
    wrong: int
    lost: int
    twice: int
    seconds: float

    @property
    def holds(self) -> bool:
        return not (self.wrong or self.lost or self.twice)


def soak(letter: str, files: int, seed: int = 5) -> Soaked:
    """Fetch ``files`` lights again and again, with faults, until nothing is missing."""
    begun = time.monotonic()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))).resolve()
        gremlins = Gremlins(letter, _FAULTS, random.Random(seed))
        stack.enter_context(spoilt_answers(gremlins))
        there = stack.enter_context(closing(Servers())).far(letter, root)
        stack.enter_context(there.exits)
        far = FarSide(letter, there.served)
        lights = [(1 + n // _PER_SESSION, n % _PER_SESSION) for n in range(files)]
        truth = _filled(far, lights)
        if letter == "V":
            server = there._running
            proxy = BusyProxy(server.port, server.data_ports, gremlins)
            there._proxy = stack.enter_context(proxy)
        gremlins.break_connections(there.proxy)
        stack.enter_context(_impatient())
        spoilt = gremlins.spoil(far, lights)
        rounds, failures = _rounds(there.settings, SOURCES[letter], gremlins, spoilt)
        gremlins.count_broken(there.proxy)
        found = _found(Store(there.root), SOURCES[letter])
        return Soaked(
            letter,
            there.server,
            files,
            dict(gremlins.done),
            rounds,
            failures,
            found.quarantined,
            wrong=sum(bool(hashes - {truth[path]}) for path, hashes in found.hashes.items()),
            lost=len(truth.keys() - found.hashes.keys()),
            twice=sum(count > 1 for count in found.published.values()) + found.strangers,
            seconds=time.monotonic() - begun,
        )


def _filled(far: FarSide, lights: list[tuple[int, int]]) -> dict[str, str]:
    """Put the lights there; the SHA-256 of each frame by its far path."""
    truth = {}
    for session, number in lights:
        content = frame(session * 1000 + number)
        far.add(session, number, content)
        truth[far.path(session, number)] = hashlib.sha256(content).hexdigest()
    far.announce()
    return truth


def _rounds(
    settings: Settings, source: str, gremlins: Gremlins, spoilt: tuple[Spoilt, ...]
) -> tuple[int, int]:
    """Look and fetch until a round has no failure and nothing to mend; rounds and failures."""
    failures = 0
    for number in range(1, _MOST_ROUNDS):
        before = failures
        batches = look(settings.source(source), settings)
        for file in spoilt:
            file.looked()
        gremlins.active = True
        failures += sum(not _fetched(settings, settings.source(source), each) for each in batches)
        gremlins.active = False
        for file in spoilt:
            file.mend()
        if not spoilt and failures == before:
            return number, failures
        spoilt = ()
    return _MOST_ROUNDS, failures


def _fetched(settings: Settings, source: SourceSettings, batch: Batch) -> bool:
    link, store = partial(connect, source, settings.secrets), Store(settings.root)
    try:
        fetch_batch(link, batch, store, max_connections=source.max_connections)
    except AstroAssetsError as error:
        logging.getLogger(__name__).info("%s", error)
        return False
    return True


@dataclass
class _Found:
    """What lies here in the end; ``strangers`` are files that no record names."""

    hashes: dict[str, set[str]]
    published: Counter[str]
    quarantined: int = 0
    strangers: int = 0


def _found(store: Store, source: str) -> _Found:
    found = _Found({}, Counter())
    for folder in sorted((store.root / "raw" / source).iterdir()):
        manifest = Manifest.load(folder)
        if manifest is None:
            continue
        found.quarantined += len(manifest.quarantined)
        named = set()
        for record in manifest.records:
            if record.status is Status.PUBLISHED:
                found.published[record.path] += 1
                for file in record.files:
                    named.add(folder / file.path)
                    sha256 = hashlib.sha256((folder / file.path).read_bytes()).hexdigest()
                    found.hashes.setdefault(record.path, set()).add(sha256)
        there = {path for path in folder.rglob("*.fit*") if path.is_file()}
        found.strangers += len(there - named)
    return found


@contextmanager
def _impatient() -> Iterator[None]:
    """No wait is long: time-outs, and pauses between tries."""
    sleep = Halt.sleep
    with ExitStack() as stack:
        for _, name, _ in pkgutil.iter_modules(sources.__path__):
            module = importlib.import_module(f"{sources.__name__}.{name}")
            for constant in [each for each in vars(module) if each.endswith("TIMEOUT_S")]:
                stack.enter_context(mock.patch.object(module, constant, _PATIENCE_S))
        short = mock.patch.object(
            Halt, "sleep", lambda halt, wait_s: sleep(halt, min(wait_s, 0.02))
        )
        stack.enter_context(short)
        yield


def page(results: list[Soaked]) -> list[str]:
    """The parts of the page of results."""
    rows = [
        [
            r.letter, r.server, r.files, sum(r.faults.values()), r.rounds, r.failures,
            r.quarantined, r.files - r.lost - r.wrong, r.wrong, r.lost, r.twice,
            f"{r.seconds:.0f}",
        ]
        for r in results
    ]  # fmt: skip
    total = ["all", "", *(sum(column) for column in list(zip(*rows, strict=True))[2:-1]), ""]
    head = [
        "Source", "Server", "Files", "Faults", "Rounds", "Failed fetches", "Set aside on the way",
        "Exact by SHA-256", "Corrupt accepted", "Lost", "Published twice", "s",
    ]  # fmt: skip
    names = sorted({name for r in results for name in r.faults})
    faults = [[r.letter, *(r.faults.get(name, 0) for name in names)] for r in results]
    return [
        _EXPLANATION,
        table(head, [*rows, total]),
        "Faults:\n",
        table(["Source", *names], faults),
    ]


_EXPLANATION = """\
Every round looks at the source and fetches each of its sessions, two connections at once, until a
round has nothing new and no failure. Faults, from a seed:

- on the far side's disk during the first round: a bit *flipped*, the file *cut* to its half
  (still growing), *unreadable*, *gone* after the look, *hidden* during it
- on the way, at any byte: a *reset*, a *stall*, an end in the middle (*close*: in plain FTP a short
  body with 226, in TLS an end without its good-bye)
- in answers: *450*, *421*; from telescope.org the log-in *page* instead of the images, *503*, a
  session *logged out*, a bit *flipped*

Each frame has DATASUM. Without that, and without a hash or an archive's CRC, no client can see a
flipped bit that comes with the right length. A file that was broken on the far side counts as
mended only if its size or listed time differs afterwards.
"""


def main() -> int:
    """Soak all four sources at once and write the page; status 0 when all holds."""
    parser = argparse.ArgumentParser(
        description="fetch many files, with faults, until all are here"
    )
    parser.add_argument("page", type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    asked = parser.parse_args()
    shares = {"F": 0.3, "V": 0.3, "H": 0.1, "S": 0.3}
    fork = multiprocessing.get_context("fork")
    with fork.Pool(len(shares), initializer=logging.disable, initargs=(logging.WARNING,)) as pool:
        jobs = [(letter, round(share * asked.files)) for letter, share in shares.items()]
        results = pool.starmap(soak, jobs, chunksize=1)
    write_page(asked.page, "Soak", "soak", page(results))
    for result in results:
        Console().print(result)
    return not all(result.holds for result in results)


if __name__ == "__main__":
    raise SystemExit(main())
