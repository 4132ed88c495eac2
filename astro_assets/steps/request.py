"""Observation requests: judged before they are sent, sent once, followed to their end.

What belongs here: the order of things. What does not: reading targets (`request_targets`), places
on the sky (`request_places`), the record (`request_record`), the site (`sources.telescope_org_*`).
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from astro_assets.errors import NothingToDo, RequestRefused, SettingsError, SourceUnreachable
from astro_assets.settings import Settings, TelescopeOrgSource
from astro_assets.sources import telescope_org_lists as lists
from astro_assets.sources.telescope_org_calls import Site
from astro_assets.sources.telescope_org_submit import submit
from astro_assets.sources.telescope_org_wish import ImageRequest, refusal
from astro_assets.steps.request_matching import same_object, same_request, same_settings
from astro_assets.steps.request_places import never_rises, place_of
from astro_assets.steps.request_record import Entry, Record, held
from astro_assets.steps.request_targets import Row, Target, read_targets
from astro_assets.steps.summary import Summary
from astro_assets.store import Store

_CLOCKS_APART = timedelta(days=1)
"""a request that is listed was not asked for by a process that began later than this"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target, or of one request of the record.

    state : "submitted", "refused", "not sent", or the site's own word
    sentence : why, where there is something to say
    """

    name: str
    telescope: str
    filter: str
    exposure_s: float | None
    rid: str
    state: str
    sentence: str = ""


def telescope_org_source(settings: Settings, name: str | None) -> TelescopeOrgSource:
    """The source to ask: the one of that name, or the only one there is. Raises `SettingsError`."""
    if name is None:
        takers = [s for s in settings.active_sources if isinstance(s, TelescopeOrgSource)]
        if len(takers) == 1:
            return takers[0]
        reason = (
            "which telescope_org source is to be asked? name it with --source"
            if takers
            else "there is no telescope_org source that is enabled; add one, or enable it"
        )
        raise SettingsError(settings.file, "sources", reason)
    source = settings.source(name)
    if not isinstance(source, TelescopeOrgSource):
        reason = "takes no requests; only a source of kind 'telescope_org' does"
        raise SettingsError(settings.file, f"sources.{name}", reason)
    if not source.enabled:
        reason = "the source is switched off; write true to use it"
        raise SettingsError(settings.file, f"sources.{name}.enabled", reason)
    return source


def request_images(
    settings: Settings, source: TelescopeOrgSource, rows: Sequence[Row], *, again: bool = False
) -> list[Outcome]:
    """Ask for what has not been asked for, and look how far the rest is.

    What cannot be observed is refused before anything is sent, and the others go on. The same open
    request is never sent twice, whoever sent the first. What is over is sent anew only ``again``.

    Raises
    ------
    Transient, Permanent : as the site says; what was sent before is in the record
    BrokenFile : the record is damaged
    """
    judged = [_judged(source, row) for row in rows]
    file = Store(settings.root).requests(source.name)
    if not file.exists() and not any(isinstance(wish, ImageRequest) for wish in judged):
        return [wish for wish in judged if isinstance(wish, Outcome)]
    with held(file) as record, Site(source, settings.secrets) as site:
        desk = _Desk(site, record, again=again)
        desk.look()
        outcomes = [wish if isinstance(wish, Outcome) else desk.ask(wish) for wish in judged]
        return outcomes + desk.others(outcomes)


def request_file(settings: Settings, source: TelescopeOrgSource) -> Summary:
    """Ask for what the table holds that the settings name, as a step with its figures.

    Raises
    ------
    SettingsError : the table cannot be read
    """
    if source.requests_file is None:
        raise NothingToDo(f"{source.name} has no requests_file: name a table of targets")
    outcomes = request_images(settings, source, read_targets(source.requests_file))
    states = Counter(outcome.state for outcome in outcomes)
    table = pd.DataFrame(outcomes, columns=list(Outcome.__dataclass_fields__))
    return Summary(
        figures={"requests": len(outcomes), **{_key(state): n for state, n in states.items()}},
        digest=hashlib.sha256(repr(sorted(map(repr, outcomes))).encode()).hexdigest(),
        path=Store(settings.root).requests(source.name),
        rows=table,
        unusable=tuple(outcome.sentence for outcome in outcomes if outcome.sentence),
    )


def _key(state: str) -> str:
    return state.replace(",", "").replace(" ", "_")


def _judged(source: TelescopeOrgSource, row: Row) -> ImageRequest | Outcome:
    """The row as a request, or why it cannot be one."""
    target = row.target
    if target is None:
        return Outcome(row.label, "", "", None, "", "refused", row.problem)
    telescope = target.telescope.lower()
    reason = refusal(telescope, target.filter, target.exposure_s)
    if reason:
        return _refused(target, reason)
    try:
        place = place_of(target, online=source.resolve_names_online)
    except (RequestRefused, SourceUnreachable) as error:
        return _refused(target, str(error))
    reason = never_rises(place)
    if reason:
        return _refused(target, reason)
    request = ImageRequest(
        name=target.name,
        ra_deg=float(place.ra.deg),
        dec_deg=float(place.dec.deg),
        telescope=telescope,
        filter=target.filter,
        exposure_s=target.exposure_s,
        comments=target.comments,
    )
    return request if request.name else _named(request)


def _named(request: ImageRequest) -> ImageRequest:
    """A place without a name is called by its coordinates, as in ``J004244+411609``."""
    digits = [angle.split(".")[0].replace(":", "") for angle in (request.ra, request.dec)]
    values = {name: getattr(request, name) for name in ImageRequest.__slots__}
    return ImageRequest(**{**values, "name": f"J{digits[0]}{digits[1]}"})


def _refused(target: Target, reason: str) -> Outcome:
    name = target.name or f"{target.ra} {target.dec}"
    return Outcome(
        name, target.telescope, target.filter, target.exposure_s, "", "refused", f"{name}: {reason}"
    )


class _Desk:
    """The site's list of own requests, and our record of them."""

    def __init__(self, site: Site, record: Record, *, again: bool) -> None:
        self._site = site
        self._record = record
        self._again = again
        self._listed: dict[str, lists.Entry] = {}
        self._pages: dict[str, dict[str, str] | None] = {}

    def look(self) -> None:
        """Read the list, and bring the record up to date with it."""
        self._listed = {e.rid: e for e in lists.own_requests(self._site, trash=True)}
        for entry in self._record.entries:
            if entry.rid in self._listed:
                entry.status = self._listed[entry.rid].status
        self._record.save()

    def ask(self, request: ImageRequest) -> Outcome:
        """Send one request, unless it has been sent."""
        entry = next((e for e in self._record.entries if same_request(e.request, request)), None)
        if entry is not None and not entry.rid:
            # Whoever noted this has not lived to see whether it went out.
            self._adopt(entry)
        if entry is not None and entry.rid:
            if not (self._again and _over(entry)):
                return _followed(entry)
            self._record.remove(entry)
            entry = None
        open_one = next((e for e in self._listed.values() if e.open and self._is(e, request)), None)
        if open_one is not None:
            if entry is not None:
                self._record.remove(entry)
            entry = Entry(request, _now(), open_one.rid, open_one.status)
            self._record.add(entry)
            return _followed(entry)
        return self._send(request, entry)

    def _send(self, request: ImageRequest, entry: Entry | None) -> Outcome:
        if entry is None:
            entry = Entry(request, _now())
            self._record.add(entry)
        try:
            entry.rid = submit(self._site, request, lambda: self._arrived(request))
        except RequestRefused as error:
            self._record.remove(entry)
            return _outcome(entry, "refused", f"{request.name}: {error}")
        entry.status = 1
        self._record.save()
        return _outcome(entry, "submitted")

    def _adopt(self, entry: Entry) -> None:
        """Find out whether an entry without an id was sent after all."""
        known = {other.rid for other in self._record.entries}
        asked = datetime.fromisoformat(entry.asked_utc) - _CLOCKS_APART
        for listed in self._listed.values():
            recent = listed.requested_utc is None or listed.requested_utc >= asked
            if listed.rid not in known and recent and self._is(listed, entry.request):
                entry.rid, entry.status = listed.rid, listed.status
                self._record.save()
                return

    def _arrived(self, request: ImageRequest) -> str | None:
        """The id under which the site lists a request that it did not list before."""
        before = self._listed
        self._listed = {e.rid: e for e in lists.own_requests(self._site, trash=True)}
        new = (entry for rid, entry in self._listed.items() if rid not in before)
        return next((entry.rid for entry in new if self._is(entry, request)), None)

    def _is(self, listed: lists.Entry, request: ImageRequest) -> bool:
        """Whether a listed request is this one."""
        if not same_object(listed, request):
            return False
        if listed.rid not in self._pages:
            self._pages[listed.rid] = lists.request_page(self._site, listed.rid)
        return same_settings(self._pages[listed.rid] or {}, request)

    def others(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """How far the requests of the record are that were not asked about."""
        told = {outcome.rid for outcome in outcomes}
        return [_followed(entry) for entry in self._record.entries if entry.rid not in told]


def _followed(entry: Entry) -> Outcome:
    if not entry.rid:
        return _outcome(entry, "not sent")
    state = lists.STATUS.get(entry.status, "unknown")
    if entry.status in lists.FAILED:
        label = f"{entry.request.name} (R{entry.rid})"
        return _outcome(entry, state, f"{label} is over without an image: {state}")
    return _outcome(entry, state)


def _outcome(entry: Entry, state: str, sentence: str = "") -> Outcome:
    request = entry.request
    return Outcome(
        request.name, request.telescope, request.filter, request.exposure_s, entry.rid, state,
        sentence,
    )  # fmt: skip


def _over(entry: Entry) -> bool:
    return entry.status == lists.COMPLETE or entry.status in lists.FAILED


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
