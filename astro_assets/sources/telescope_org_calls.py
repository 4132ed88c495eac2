"""telescope.org's calls: logging in, asking, and what kind of answer came.

What belongs here: the dialogue, with one new log-in when the session has run out. What does not:
HTTPS itself (`http`), what the answers mean (the modules of each subject).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, quote_plus

from astro_assets.errors import ListingFailed, LoginRefused, SourceUnreachable
from astro_assets.settings import Secrets, TelescopeOrgSource
from astro_assets.sources.http import WebSession

_LONGEST_QUOTE = 100
_NOT_FOUND = (404, 410)
_OK = 200


class Said(Enum):
    """What an answer is."""

    YES = auto()
    NO = auto()
    LOG_IN = auto()
    """the log-in page: the session has run out"""
    SOMETHING = auto()
    """not understood"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave. ``status`` is the site's own word, fit to be shown."""

    said: Said
    status: str = ""
    data: Any = None


class Site:
    """The site, logged in between ``with`` and its end.

    where : the source and the host, for errors
    """

    def __init__(self, source: TelescopeOrgSource, secrets: Secrets) -> None:
        self._source = source
        self._user, self._password = source.credentials(secrets)
        self._web: WebSession | None = None
        self.where = f"{source.name}: {source.host}:{source.port}"

    def __enter__(self) -> Self:
        self.close()
        source = self._source
        self._web = WebSession(source.name, source.host, source.port, source)
        try:
            self.log_in()
            self._make_sure()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        web, self._web = self._web, None
        if web is not None:
            web.close()

    @property
    def web(self) -> WebSession:
        """The connection. Raises `SourceUnreachable` outside of ``with``."""
        if self._web is None:
            raise SourceUnreachable(f"{self.where} is not connected: connect first")
        return self._web

    def log_in(self) -> None:
        """Send user and password."""
        form = {
            "action": "login",
            "username": self._user,
            "password": self._password,
            "stayloggedin": "true",
        }
        self.web.post("login.php", form)

    def _make_sure(self) -> None:
        """The answer to a log-in does not tell whether it worked; that to a call does."""
        if self._called("request-manager", "0-get-my-folders", {}).said is Said.LOG_IN:
            raise self._refused()

    def call(self, module: str, request: str, parameters: Mapping[str, object]) -> Answer:
        """The answer to a call; asked once more after a new log-in when a page came instead.

        Raises
        ------
        LoginRefused : the new log-in did not help
        SourceUnreachable, IdentityRefused : as the connection says
        """
        answer = self._called(module, request, parameters)
        if answer.said in (Said.LOG_IN, Said.SOMETHING):
            self.log_in()
            answer = self._called(module, request, parameters)
        if answer.said is Said.LOG_IN:
            raise self._refused()
        return answer

    def call_once(self, module: str, request: str, parameters: Mapping[str, object]) -> Answer:
        """As `call`, but never asked again: what it does must not be done twice."""
        return self._called(module, request, parameters, once=True)

    def page(self, path: str, form: Mapping[str, str | list[str]], **query: str) -> str | None:
        """A page of the site; None when it says that there is none.

        Raises
        ------
        ListingFailed : an answer that is neither
        LoginRefused, SourceUnreachable, IdentityRefused
        """
        for _ in range(2):
            page = self.web.post(path, form, query)
            if page.status in _NOT_FOUND:
                return None
            if page.status != _OK:
                raise ListingFailed(
                    f"{self.where}/{path} answers with status {page.status}: "
                    "the next look tries again"
                )
            if not is_login_page(page.text):
                return page.text
            self.log_in()
        raise self._refused()

    def quoted(self, text: object) -> str:
        """What the site says, fit for a message: short, printable, without what it must not say."""
        said = "".join(letter for letter in str(text) if letter.isprintable())
        for secret in (self._password, self._user):
            for spelled in (secret, quote(secret), quote_plus(secret)):
                said = said.replace(spelled, "…")
        return said[:_LONGEST_QUOTE]

    def not_understood(self, what: str) -> ListingFailed:
        return ListingFailed(
            f"{self.where} answers with {what} that are not understood: has the site changed?"
        )

    def _called(
        self, module: str, request: str, parameters: Mapping[str, object], *, once: bool = False
    ) -> Answer:
        form = {"module": module, "request": request, "params": json.dumps(parameters)}
        return self._read(self.web.post("api-user.php", form, once=once).text)

    def _read(self, text: str) -> Answer:
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            return Answer(Said.LOG_IN if is_login_page(text) else Said.SOMETHING)
        if not isinstance(answer, dict) or "success" not in answer:
            return Answer(Said.SOMETHING)
        yes = str(answer["success"]) in ("1", "True")
        status = self.quoted(answer.get("status") or "")
        return Answer(Said.YES if yes else Said.NO, status, answer.get("data"))

    def _refused(self) -> LoginRefused:
        return LoginRefused(
            f"{self.where} refuses user and password: check the variables "
            f"{self._source.user_env} and {self._source.password_env}"
        )


def is_login_page(text: str) -> bool:
    """Whether the site answered with its log-in form (with status 200, as it does)."""
    return "login.php" in text and "password" in text
