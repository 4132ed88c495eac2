"""telescope.org's pages, read: tables, links, hidden fields, frames.

What belongs here: HTML to words, whatever it looks like. What does not: asking for pages, and what
the words mean.
"""

import re
from contextlib import suppress
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

_SCRIPT = 10_000
"""letters of the script that are looked at"""


class _Reader(HTMLParser):
    """What is of interest on a page, in one pass; tags that are left open do no harm.

    rows : the texts of each table row's cells; of nested tables the innermost rows
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = [[]]
        self.text: list[str] = []
        self.links: list[str] = []
        self.frames: list[str] = []
        self.fields: dict[str, str] = {}
        self.flat = ""
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "a":
            self.links.append(said.get("href", ""))
        elif tag == "iframe":
            self.frames.append(said.get("src", ""))
        elif tag == "input":
            self.fields.setdefault(said.get("name", ""), said.get("value", ""))
        elif tag in ("script", "style"):
            self._hidden += 1
        if "dl-flat" in said.get("class", "").split():
            self.flat = self.flat or said.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("tr", "table"):
            self.rows.append([])
        elif tag in ("script", "style"):
            self._hidden = 0

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.text.append(data)
        if self.rows[-1]:
            self.rows[-1][-1] += f" {data}"


def _read(text: str) -> _Reader:
    reader = _Reader()
    # So html.parser speaks of some broken declarations; what stood before them is read.
    with suppress(AssertionError):
        reader.feed(text)
        reader.close()
    return reader


def parse_page(text: str) -> dict[str, str]:
    """Label and value of each row of the table; ``jid`` from the script, ``flatid`` of the button.

    The two are empty where there is none.
    """
    page = _read(text)
    facts: dict[str, str] = {}
    for cells in page.rows:
        if len(cells) >= 2:
            facts[_plain(cells[0]).rstrip(":")] = _plain(cells[1])
    jid = _job_of_script(text) or re.sub(r"\D", "", facts.get("Job ID", ""))
    return {**facts, "jid": jid, "flatid": page.flat if page.flat.isdecimal() else ""}


def _job_of_script(text: str) -> str:
    """From ``var info = {…"jid":"423183"…``."""
    info = re.search(r"var\s+info\s*=\s*\{", text)
    jid = info and re.search(r'"jid"\s*:\s*"?(\d+)', text[info.end() : info.end() + _SCRIPT])
    return jid[1] if jid else ""


def served_requests(page: dict[str, str]) -> list[str]:
    """The requests that a page's job serves: ``R771716 R771970``."""
    return re.findall(r"\d+", page.get("Request ID", ""))


def linked_jobs(text: str) -> list[str]:
    """The numbers in links ``…?jid=N``, each once, in their order."""
    return list(dict.fromkeys(jid for link in _read(text).links for jid in _jids(link)))


def _jids(link: str) -> list[str]:
    try:
        query = parse_qs(urlsplit(link).query)
    except ValueError:
        return []
    return [jid for jid in query.get("jid", []) if jid.isdecimal()]


def ticket(text: str) -> str:
    """The hidden number that a form's next step must show; empty where there is none."""
    return _read(text).fields.get("ticket", "")


def frame(text: str) -> str:
    """The address of the page within the page; empty where there is none."""
    return next((address for address in _read(text).frames if address), "")


def words(text: str) -> str:
    """What a person reads on a page."""
    return _plain(" ".join(_read(text).text))


def _plain(text: str) -> str:
    return " ".join(text.split())
