"""Row 51: a secret that a server repeats is nowhere to be found afterwards.

User and password of each source are canaries. Servers put them into whatever they say; sensors,
`sync`, a run and `check` meet them, with every log switched on. Then all that is left behind is
searched: Dagster's home (its databases too), products, output, logs, errors with their causes.
"""

import base64
import logging
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster import DagsterInstance
from tenacity import wait_none

from astro_assets import cli
from astro_assets.defs.failures import translated
from astro_assets.errors import AstroAssetsError, SourceUnreachable
from astro_assets.settings import SETTINGS_VARIABLE, load_settings
from astro_assets.sources import fetch
from astro_assets.sources.batches import look
from astro_assets.sources.check import Mark
from astro_assets.sources.check import check as check_source
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.store import Store
from astro_assets_tests.defs.conftest import SITE, Hand
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.servers.certificates import identity
from astro_assets_tests.faults.talkative import SITE_ANSWERS, site, ssh
from astro_assets_tests.sources.conftest import frame, itelescope_name, put, zipped
from astro_assets_tests.sources.scripted_ftp import Script, ScriptedFtp, server_context

USER = "canary-user-8Qx"
PASSWORD = "canary-password-4711-Zw"
SPELLINGS = {
    spelled
    for secret in (USER, PASSWORD)
    for spelled in (
        secret.encode(),
        quote(secret, safe="").encode(),
        secret.encode("utf-16-le"),
        *(base64.b64encode(b"x" * shift + secret.encode())[4:-4] for shift in range(3)),
    )
}
ECHO = f"{USER} with {PASSWORD}"
_LEAST_TEXTS = 20


@dataclass
class Place:
    """A user's machine with one source, on which everything that is said is kept."""

    root: Path
    instance: DagsterInstance
    said: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.root / "observatory.toml"

    def set_up(self, source: str) -> None:
        put(self.file, f'root = "data"\n{SITE}\n[watch]\nquiet_s = 0\n{source}')
        put(self.root / ".env", f"CANARY_USER={USER}\nCANARY_PASSWORD={PASSWORD}\n").chmod(0o600)

    def use(self) -> None:
        """Everything that a user does with a source."""
        settings = load_settings(self.file)
        (source,) = settings.active_sources
        store = Store(settings.root.with_name("fetched"))
        try:
            for batch in look(source, settings):
                fetch_batch(partial(connect, source, settings.secrets), batch, store)
        except AstroAssetsError as error:
            self.said += [*traceback.format_exception(error), repr(error), *map(str, error.args)]
        steps = list(check_source(source, settings, lambda shown: True))
        self.said += [str(step) for step in steps]
        assert {step.mark for step in steps} & {Mark.FAILED, Mark.GOOD}
        hand = Hand.over(settings, self.instance)
        requests, reason = hand.tick(f"watch_{source.name}")
        self.said += [str(reason), str(hand.cursors)]
        for request in requests:
            self.said.append(str(self.run(hand, source.name, request)))

    def type(self) -> None:
        """The same by its commands."""
        for word in ("sync", "check"):
            result = CliRunner().invoke(cli.main, [word])
            assert isinstance(result.exception, SystemExit | None), result.exception
            self.said.append(result.output)

    def run(self, hand: Hand, source: str, request: dg.RunRequest) -> list[object]:
        """Fetch, as a run does, and give its events."""
        assert request.job_name
        result = hand.defs.resolve_job_def(request.job_name).execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            asset_selection=[dg.AssetKey([source, "raw_lights"])],
            raise_on_error=False,
        )
        return list(result.all_events)

    def hits(self) -> list[str]:
        """Where a canary is, in all that is left."""
        texts = {f"said {number}": text.encode() for number, text in enumerate(self.said)}
        for top in (self.root / name for name in ("dagster", "data", "fetched")):
            for file in top.rglob("*"):
                if file.is_file():
                    texts[str(file)] = file.read_bytes()
        for file in (self.root / "dagster").rglob("*.db"):
            # A long text lies on several pages of the file, and a word may be cut.
            with sqlite3.connect(file) as database:
                texts[f"dump of {file}"] = "\n".join(database.iterdump()).encode()
            database.close()
        assert len(texts) > _LEAST_TEXTS
        return [
            f"{name}: …{_around(text, canary)}…"
            for name, text in texts.items()
            for canary in SPELLINGS
            if canary in text
        ]


def _around(text: bytes, canary: bytes) -> str:
    place = text.index(canary)
    return text[max(0, place - 80) : place + 80].decode("utf-8", "replace")


class _Kept(logging.Handler):
    """Keeps every record as it would be printed, with the traceback."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] not in ("asyncssh", "asyncio"):  # the server's own
            self._said.append(f"{record.name} {self.format(record)}")


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Place]:
    """After the test, what it left is searched."""
    (tmp_path / "dagster").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "observatory.toml"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setattr(fetch, "wait_exponential", lambda **given: wait_none())
    root = logging.getLogger()
    level = root.level
    with DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        made = Place(tmp_path, instance)
        kept = _Kept(made.said)
        root.addHandler(kept)
        root.setLevel(logging.DEBUG)
        try:
            yield made
        finally:
            root.removeHandler(kept)
            root.setLevel(level)


FRAME = f"/T20/NGC 7000/20261120/{itelescope_name(1)}.zip".encode()
FTP: dict[str, Callable[[Script], object]] = {
    "greeting": lambda script: setattr(script, "greeting", f"220 {ECHO}"),
    "AUTH refused": lambda script: setattr(script, "auth_reply", f"502 no {ECHO}"),
    "log-in refused": lambda script: setattr(script, "login_reply", f"530 no {ECHO}"),
    "too many": lambda script: setattr(script, "login_reply", f"421 no {ECHO}"),
    "log-in put off": lambda script: setattr(script, "login_reply", f"430 no {ECHO}"),
    "log-in nonsense": lambda script: setattr(script, "login_reply", f"999 no {ECHO}"),
    "PROT refused": lambda script: setattr(script, "prot_reply", f"534 no {ECHO}"),
    "PROT put off": lambda script: setattr(script, "prot_reply", f"431 no {ECHO}"),
    "listing refused": lambda script: script.listing_faults.extend([f"550 no {ECHO}"] * 9),
    "listing put off": lambda script: script.listing_faults.extend([f"450 no {ECHO}"] * 9),
    "listing nonsense": lambda script: setattr(script, "listing", f"{ECHO}\r\n".encode()),
    "folder refused": lambda script: script.listing_faults.extend(["", f"550 no {ECHO}"] * 9),
    "file refused": lambda script: script.faults[FRAME].extend([f"550 no {ECHO}"] * 99),
    "file put off": lambda script: script.faults[FRAME].extend([f"450 no {ECHO}"] * 99),
    "file broken off": lambda script: script.faults[FRAME].extend([f"421 no {ECHO}"] * 99),
    "REST refused": lambda script: (
        setattr(script, "rest_reply", f"502 no {ECHO}"),
        script.faults[FRAME].extend(["reset"] * 3),
    ),
}
LOGIN = 'user_env = "CANARY_USER"\npassword_env = "CANARY_PASSWORD"\n'


def table(kind: str, port: int, more: str) -> str:
    head = f'[[sources]]\nname = "far"\nkind = "{kind}"\nhost = "localhost"\nport = {port}\n'
    return head + more


def searched(place: Place, capfd: pytest.CaptureFixture[str], cell: Cell, ways: int) -> None:
    place.said += capfd.readouterr()
    hits = place.hits()
    assert not hits, "\n".join(hits)
    cell.saw(f"{ways} ways of repeating it: 0 hits in {len(place.said)} texts and all files")


@cells(51, "F", "0 hits")
def test_a_secret_that_ftp_repeats_is_nowhere(
    where: str, cell: Cell, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    cell.server = "scripted FTPS"
    shown = identity(place.root / "identity")
    ca_file = f'ca_file = "{shown.ca_file}"\n'
    content = zipped({itelescope_name(1): frame(1)})
    for way, change in FTP.items():
        script = Script(
            files={FRAME: content}, tls=server_context(shown.certificate_file, shown.key_file)
        )
        change(script)
        with ScriptedFtp(script) as server:
            place.set_up(table("itelescope", server.port, LOGIN + ca_file))
            place.use()
            if way in ("greeting", "log-in refused"):
                place.type()
        sent = any(PASSWORD.encode() in line for line in script.seen)
        assert sent is (way != "AUTH refused")
    searched(place, capfd, cell, len(FTP))


@cells(51, "V", "0 hits")
def test_a_source_without_a_password_gives_none_away(
    where: str, cell: Cell, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    """The Vespera has no secret; those of other sources, in the same `.env`, stay there."""
    cell.server = "scripted FTP"
    light = b"/user/2026-11-20_21-10-00_observation_M31/01-images-initial/img-0001.fits"
    script = Script(files={light: frame(1)})
    with ScriptedFtp(script) as server:
        place.set_up(table("vespera", server.port, ""))
        place.use()
        place.type()
    assert not any(canary in line for line in script.seen for canary in SPELLINGS)
    searched(place, capfd, cell, 1)


@cells(51, "H", "0 hits")
def test_a_secret_that_a_site_repeats_is_nowhere(
    where: str, cell: Cell, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    cell.server = "scripted HTTPS"
    shown = identity(place.root / "identity")
    context = server_context(shown.certificate_file, shown.key_file)
    for answer in SITE_ANSWERS:
        with site(context, ECHO, answer) as port:
            ca_file = f'ca_file = "{shown.ca_file}"\n'
            place.set_up(table("telescope_org", port, LOGIN + ca_file))
            place.use()
            if answer == "refused":
                place.type()
    searched(place, capfd, cell, len(SITE_ANSWERS))


@cells(51, "S", "0 hits")
def test_a_secret_that_ssh_repeats_is_nowhere(
    where: str, cell: Cell, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    cell.server = "asyncssh, talkative"
    for lets_in in (True, False):
        with ssh(place.root, PASSWORD, lets_in=lets_in) as (port, public):
            known_hosts = put(place.root / "known_hosts", f"[localhost]:{port} {public}\n")
            place.set_up(table("pi", port, f'{LOGIN}known_hosts = "{known_hosts}"\n'))
            place.use()
            place.type()
    searched(place, capfd, cell, 2)


@dg.job
def refused_with_a_cause() -> None:
    @dg.op
    def fetch(context: dg.OpExecutionContext) -> None:
        with translated(context):
            raise SourceUnreachable("the server hung up: the next look tries again") from (
                ValueError(f"a library knows {ECHO}")
            )

    fetch()


def test_what_a_library_says_is_not_kept_with_a_failed_run(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    result = refused_with_a_cause.execute_in_process(instance=place.instance, raise_on_error=False)
    assert not result.success
    events = place.instance.all_logs(result.run_id)
    assert any("the server hung up" in str(event) for event in events)
    place.said += [*map(str, events), *capfd.readouterr()]
    assert place.hits() == []
