"""The loop of one night: wait for dusk, take frames at their pace, stop at dawn, survive the rest.

What belongs here: what comes after what, and what a fault costs. What does not: cameras (`hands`),
files (`frames`), who restarts this when it dies (`supervise`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from astro_assets.capture.cameras.protocol import Shot, Taken
from astro_assets.capture.clock import Clock, wait_until_set
from astro_assets.capture.config import Config
from astro_assets.capture.exposure import Setting, next_setting
from astro_assets.capture.frames import NightFolder
from astro_assets.capture.hands import Hands
from astro_assets.capture.motor import Motor
from astro_assets.capture.plan import Item, Plan
from astro_assets.capture.retention import at_floor, prune
from astro_assets.capture.status import Phase, Status, iso, write_status
from astro_assets.errors import CameraFailed, StorageFailed

LIGHT = "Light Frame"
_KIND = "light"
_TRIES_PER_FRAME = 2
_LONGEST_SLEEP_S = 10.0
_FULL_PAUSE_S = 60.0
_STORAGE_TRIES = 5
"""so many frames in a row that the card did not take: it is broken, and the night ends cleanly"""
_FIRST_AUTO_S = 1.0
_CLOCK_PATIENCE_S = 6 * 3600.0

Stop = Callable[[float], bool]
"""waits for so many real seconds at most; True when it is time to leave"""


@dataclass(slots=True)
class Night:
    """One night's capture.

    beat : called at least every few seconds; whoever watches restarts what does not beat
    say : for the log
    """

    config: Config
    plan: Plan
    clock: Clock
    folder: NightFolder
    stop: Stop
    beat: Callable[[], None]
    say: Callable[[str], None]
    motor: Motor | None = None
    status: Status = field(init=False)
    _hands: Hands = field(init=False)
    _auto: Setting | None = field(init=False, default=None)
    _storage_failures: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._hands = Hands(self.config, self.clock, self.say, self._beat)
        self.status = Status(
            night=self.plan.night.isoformat(),
            camera=self.config.camera.name,
            phase=Phase.WAITING,
            dusk_utc=iso(self.plan.dusk_utc),
            dawn_utc=iso(self.plan.dawn_utc),
        )

    def run(self) -> Phase:
        """Take the night's frames.

        Returns `DONE` at dawn or after the plan's last hours, `STOPPED` when told to or stuck.

        Raises
        ------
        NothingToDo : the clock does not become right
        """
        self.folder.open()
        frames = sum(name.startswith(_KIND) for name in self.folder.lines())
        self.status = replace(self.status, frames=frames)
        if self.clock.start_utc is None:  # a rehearsal has its own
            wait_until_set(
                self.clock, self.plan.created_utc, _CLOCK_PATIENCE_S, self._told_of_a_clock_not_set
            )
        self._tell(alert="")
        try:
            phase = self._until_dawn()
        finally:
            self._hands.let_go()
        self._tell(phase=phase, next_exposure_utc="")
        return phase

    def _until_dawn(self) -> Phase:
        due_utc = max(self.plan.dusk_utc, self.clock.now_utc())
        while True:
            if self._waited_until(min(due_utc, self.plan.dawn_utc)):
                return Phase.STOPPED
            now_utc = self.clock.now_utc()
            if now_utc >= self.plan.dawn_utc:
                return Phase.DONE
            item = self.plan.item_at(now_utc)
            if item is None:
                begin_utc = self.plan.begin_after(now_utc)
                if begin_utc is None:
                    return Phase.DONE
                self._tell(phase=Phase.WAITING, next_exposure_utc=iso(begin_utc))
                due_utc = begin_utc
                continue
            if not self._room():
                due_utc = now_utc + timedelta(seconds=_FULL_PAUSE_S)
                continue
            self._take(item)
            if self._storage_failures >= _STORAGE_TRIES:
                self._tell(alert=self.status.last_error)
                return Phase.STOPPED
            due_utc = self._next_due(due_utc, item)

    def _next_due(self, due_utc: datetime, item: Item) -> datetime:
        """The next beat of the cadence, counted from where its item began.

        Beats that have passed meanwhile are left out, and said.
        """
        cadence_s = item.cadence_s or self.config.camera.cadence_s
        now_utc = self.clock.now_utc()
        if cadence_s:
            begin_utc = item.begin_utc or self.plan.dusk_utc
            beat = (now_utc - begin_utc).total_seconds() // cadence_s + 1
            next_utc = begin_utc + timedelta(seconds=beat * cadence_s)
            missed = int((next_utc - due_utc).total_seconds() // cadence_s) - 1
            if missed > 0:
                self.say(f"exposures missed while that lasted: {missed}")
        else:
            next_utc = now_utc
        self._tell(next_exposure_utc=iso(next_utc))
        return next_utc

    def _take(self, item: Item) -> None:
        """One frame, with a second try on a fresh camera. A failure is written down, no more."""
        self._tell(phase=Phase.EXPOSING)
        for attempt in range(_TRIES_PER_FRAME):
            try:
                taken = self._hands.expose(self._shot(item), self.folder.part())
                self._publish(taken)
            except CameraFailed as error:
                self._failed(error)
                pause_s = self._hands.pause_s()
                if attempt + 1 < _TRIES_PER_FRAME and self._slept(pause_s):
                    return
            except StorageFailed as error:
                self._storage_failures += 1
                self._failed(error)
                break
            else:
                self._storage_failures = 0
                self._adapt(taken)
                self._turn()
                return
        self.status = replace(self.status, lost=self.status.lost + 1)

    def _publish(self, taken: Taken) -> None:
        moment_utc = self.clock.now_utc()
        for published in self.folder.publish(taken.files, _KIND, moment_utc, taken.facts):
            self.say(f"{published.path.name}: {published.size_bytes / 1e6:.1f} MB")
            self.status = replace(
                self.status,
                frames=self.status.frames + 1,
                last_frame=published.path.name,
                last_frame_utc=iso(moment_utc),
            )
        temperature = taken.facts.get("CCD-TEMP")
        self._tell(alert="", temperature_c=None if temperature is None else float(temperature))

    def _shot(self, item: Item) -> Shot:
        camera, place = self.config.camera, self.config.place
        fixed_s = item.exposure_s or camera.exposure_s
        gain = camera.gain if item.gain is None else item.gain
        if fixed_s is None:
            if self._auto is None:
                self._auto = self._first_auto(gain)
            fixed_s, gain = self._auto.exposure_s, self._auto.gain
        facts = {
            "OBJECT": item.target or "all sky",
            **({"FILTER": item.filter} if item.filter else {}),
            **(
                {"SITELAT": repr(place.latitude_deg), "SITELONG": repr(place.longitude_deg)}
                if place
                else {}
            ),
            **({"AZIMUTH": repr(self.motor.azimuth_deg)} if self.motor else {}),
        }
        return Shot(fixed_s, gain, LIGHT, facts)

    def _first_auto(self, gain: int | None) -> Setting:
        """Where automatic exposure begins: what the camera finds, or a second."""
        limits = self.config.camera.auto
        settled = self._hands.settle(limits.max_gain, limits.max_exposure_s)
        exposure_s, found = settled or (_FIRST_AUTO_S, gain)
        return Setting(min(max(exposure_s, limits.min_exposure_s), limits.max_exposure_s), found)

    def _adapt(self, taken: Taken) -> None:
        if self._auto is not None:
            camera = self.config.camera
            self._auto = next_setting(self._auto, taken.level, camera.auto, camera.gain or 0)

    def _turn(self) -> None:
        if self.motor is not None:
            self.motor.sweep()

    def _room(self) -> bool:
        """Make room by what is confirmed; at the floor, say so and take no picture."""
        captures, retention = self.folder.captures, self.config.retention
        try:
            for path in prune(captures, retention, self.clock.now_utc()):
                self.say(f"{path.name} was confirmed and is removed")
            full = at_floor(captures, retention)
        except OSError as error:
            self._failed(error)
            return True  # the frame itself will show whether the card works
        if full:
            self._tell(
                phase=Phase.PAUSED,
                alert=f"less than {retention.disk_floor_gb:g} GB are free on {captures} and no "
                "frame there is confirmed: no pictures are taken; fetch them, or free some space",
            )
        return not full

    def _failed(self, error: Exception) -> None:
        self.say(str(error))
        self.status = self.status.failed(str(error), self.clock.now_utc())
        self._tell()

    def _told_of_a_clock_not_set(self, real_s: float) -> bool:
        self._tell(alert="the clock is not set: let it reach a time server, or set it")
        return self.stop(real_s)

    def _waited_until(self, moment_utc: datetime) -> bool:
        """Wait, beating; True when told to stop."""
        while (left_s := (moment_utc - self.clock.now_utc()).total_seconds()) > 0:
            if self._slept(min(left_s, _LONGEST_SLEEP_S)):
                return True
        return self.stop(0)

    def _slept(self, seconds: float) -> bool:
        self._beat()
        return self.clock.sleep(seconds, self.stop)

    def _beat(self) -> None:
        self._tell()

    def _tell(self, **changes: object) -> None:
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]
        write_status(self.folder.folder, self.status)
        self.beat()
