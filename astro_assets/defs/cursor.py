"""What a source's sensor remembers from one look to the next, as its cursor.

What belongs here: the memory as data, and how it changes. What does not: which requests ran
(`history`), what a listing held (`absence`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from astro_assets.defs.decide import Sighting

LONGEST_PAUSE = timedelta(hours=1)
_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Cursor:
    """The memory of one sensor. It does not grow with what the source holds.

    seen : batches that may still be growing, at most `decide.MOST_SIGHTINGS`
    failures : looks in a row that failed
    next_try, reason : no look before then, and why
    empty_looks : looks in a row that found the source off, or empty
    """

    seen: Mapping[str, Sighting] = field(default_factory=dict)
    failures: int = 0
    next_try: datetime | None = None
    reason: str = ""
    empty_looks: int = 0

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        content: dict[str, Any] = json.loads(text or "{}")
        next_try = content.get("next_try")
        return cls(
            seen={
                key: Sighting(digest, datetime.fromisoformat(since))
                for key, (digest, since) in content.get("seen", {}).items()
            },
            failures=content.get("failures", 0),
            next_try=datetime.fromisoformat(next_try) if next_try else None,
            reason=content.get("reason", ""),
            empty_looks=content.get("empty_looks", 0),
        )

    def text(self) -> str:
        content: dict[str, object] = {
            "seen": {key: (s.digest, s.since_utc.isoformat()) for key, s in self.seen.items()},
            "empty_looks": self.empty_looks,
        }
        if self.next_try is not None:
            content |= {
                "failures": self.failures,
                "next_try": self.next_try.isoformat(timespec="seconds"),
                "reason": self.reason,
            }
        return json.dumps(content)

    def pausing(self, now_utc: datetime) -> bool:
        return self.next_try is not None and now_utc < self.next_try

    def failed(self, reason: str, now_utc: datetime, pause: timedelta) -> "Cursor":
        """After a failed look. ``pause`` is doubled with each one in a row, to an hour at most."""
        pause *= 2 ** min(self.failures, _DOUBLINGS)
        return replace(
            self,
            failures=self.failures + 1,
            next_try=now_utc + min(pause, LONGEST_PAUSE),
            reason=reason,
        )

    def looked(self, *, empty: bool) -> "Cursor":
        """After a look that went well."""
        return Cursor(seen=self.seen, empty_looks=self.empty_looks + 1 if empty else 0)

    def silent(self) -> "Cursor":
        """The source was not reached."""
        return replace(self, empty_looks=self.empty_looks + 1)

    def remembering(self, seen: Mapping[str, Sighting]) -> "Cursor":
        return replace(self, seen=seen)
