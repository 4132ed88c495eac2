"""What is compared, and what a run of the bench gave: ratios, costs, right or wrong. Only data."""

from collections.abc import Callable
from dataclasses import dataclass

from astro_assets_tests.bench.judge import Judged
from astro_assets_tests.bench.measured import Cost


@dataclass(frozen=True, slots=True)
class Peer:
    """One that does the same work.

    figure : of `Cost`, in which it is compared
    wanted : ours / theirs, at most
    share : the part of its run that the work is, where it does more than one piece at once
    """

    name: str
    run: Callable[[], Cost]
    figure: str
    wanted: float
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of work.

    judge : whether our result is right, asked after the last round
    share : the part of our run that the work is
    once : measured once, for it costs as much as all the others
    """

    work: str
    ours: Callable[[], Cost]
    peers: tuple[Peer, ...]
    judge: Callable[[], Judged] | None = None
    share: float = 1.0
    once: bool = False


def bound(most_mb: float) -> Cost:
    """A fixed limit of memory in place of a peer's."""
    return Cost(0.0, 0.0, most_mb, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Compared:
    """One ratio.

    ours, theirs : medians over the rounds; theirs is None where it failed
    right : whether our result was; None where nothing is judged
    """

    work: str
    peer: str
    figure: str
    wanted: float
    ours: float
    theirs: float | None
    right: bool | None
    theirs_cost: Cost | None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.theirs if self.theirs else None

    @property
    def reached(self) -> bool | None:
        """Whether the wanted ratio is reached by a right result: a faster wrong answer is none."""
        if self.right is False:
            return False
        return None if self.ratio is None else self.ratio <= self.wanted


@dataclass(frozen=True, slots=True)
class Done:
    """A row that was measured. cost : ours; limit : of reading and writing the same bytes"""

    work: str
    cost: Cost
    limit: Cost | None
    judged: Judged | None
    compared: tuple[Compared, ...]
