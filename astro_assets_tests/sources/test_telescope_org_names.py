"""What telescope.org's pages say, and where its jobs belong."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_assets.errors import BrokenFile
from astro_assets.frame import FrameKind
from astro_assets.sources.protocol import RemoteFile
from astro_assets.sources.telescope_org_jobs import (
    flat_file,
    job_file,
    parse_completion,
    place,
    wanted,
)
from astro_assets.sources.telescope_org_pages import (
    frame,
    linked_jobs,
    parse_page,
    served_requests,
    ticket,
    words,
)

ROWS = {
    "Request ID": "R771716 R771970",
    "Object Type": "MESSIER",
    "Object ID": "109",
    "Filter Type": "BVR",
    "Exposure Time": "120000 ms",
    "Telescope Type Name": "Galaxy",
    "Completion Time": "18 November 2024 05:41:09 UTC",
}


def page(**changed: str) -> dict[str, str]:
    rows = {**ROWS, **{key.replace("_", " "): value for key, value in changed.items()}}
    table = "".join(f"<tr><th>{key}</th><td>{value}</td></tr>" for key, value in rows.items())
    script = '<script>var info = {"rid":"1","jid":"423183"};</script>'
    return parse_page(
        f"{script}<table>{table}</table><button class='dl-flat' value='31'>F</button>"
    )


def test_a_request_s_page() -> None:
    file = job_file(page(), "zip", processed=False)
    assert file is not None
    assert file.path == "423183.zip"
    facts = {"OBJECT": "M 109", "EXPTIME": "120", "TELESCOP": "Galaxy"}
    assert facts.items() <= file.facts.items()
    assert file.facts["DATE-OBS"] == "2024-11-18T05:39:09"
    placed = place(file, "UTC")
    assert (placed.night.isoformat(), placed.target, placed.kind) == (
        "2024-11-17", "M 109", FrameKind.LIGHT,
    )  # fmt: skip
    assert served_requests(page()) == ["771716", "771970"]


def test_the_flat_on_a_page() -> None:
    file = flat_file(page())
    assert file is not None
    placed = place(file, "UTC")
    assert (placed.kind, placed.configuration, placed.instrument) == (
        FrameKind.FLAT, "31", "Galaxy",
    )  # fmt: skip
    assert (wanted(file).jid, wanted(file).flat) == ("423183", "31")
    assert flat_file(parse_page("<table></table>")) is None


@pytest.mark.parametrize(
    ("form", "processed", "path"),
    [
        ("zip", False, "423183.zip"), ("cube", False, "423183.fits"),
        ("zip", True, "423183-processed.zip"), ("cube", True, "423183-processed.fits"),
    ],
)  # fmt: skip
def test_a_name_says_what_to_ask_for(form: str, processed: bool, path: str) -> None:
    file = job_file(page(), form, processed=processed)  # type: ignore[arg-type]
    assert file is not None
    assert file.path == path
    assert (wanted(file).form, wanted(file).processed) == (form, processed)


def test_a_name_of_nothing_there() -> None:
    for path in ("../1.zip", "flat-31.zip", "x.zip"):
        with pytest.raises(BrokenFile, match="is no job"):
            wanted(RemoteFile(path, None, None))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("18 November 2024 05:41:09 UTC", datetime(2024, 11, 18, 5, 41, 9, tzinfo=UTC)),
        ("1 may 2024 00:00:00", datetime(2024, 5, 1, tzinfo=UTC)),
        ("31 February 2024 05:41:09 UTC", None),
        ("", None),
    ],
)
def test_the_moment_of_completion(text: str, moment: datetime | None) -> None:
    assert parse_completion(text) == moment
    if moment is None:
        assert job_file(page(Completion_Time=text), "zip", processed=False) is None


def test_pages_as_browsers_forgive_them() -> None:
    nested = "<table><tr><td>Menu<table><tr><td>Filter Type</td><td>BVR</td></tr></table></td></tr>"
    open_tags = "<table><tr><td>Filter Type<td>BVR<tr><td>Status:<td> Success &amp; <b>more</b>"
    assert parse_page(nested)["Filter Type"] == "BVR"
    assert parse_page(open_tags) == {
        "Filter Type": "BVR", "Status": "Success & more", "jid": "", "flatid": "",
    }  # fmt: skip
    assert linked_jobs('<a href="v4request-view.php?x=1&amp;jid=7">J7<A HREF="?jid=7">') == ["7"]
    assert ticket("<INPUT type=hidden NAME=ticket value='12'>") == "12"
    assert frame("<iframe></iframe><iframe src=a.php?b=1>") == "a.php?b=1"
    assert words("<style>x</style><p>No <b>data</b><script>1<2</script>") == "No data"


_MARKUP = st.lists(
    st.sampled_from(
        ["<tr>", "<td>", "</tr>", "<![", "<!--", "<!DOCTYPE [", "</", "<a href='?jid=", "http://[",
         "<input name=ticket value=", "<iframe src=", "&#x110000;", "]]>", "<?", "var info = {",
         '"jid":', "\0", "'", ">", "1"]
    )
    | st.text(max_size=5),
    max_size=40,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(_MARKUP)
def test_no_page_is_an_exception(parts: list[str]) -> None:
    text = "".join(parts)
    page = parse_page(text)
    assert all(isinstance(value, str) for value in page.values())
    assert page["jid"] == "" or page["jid"].isdecimal()
    assert all(jid.isdecimal() for jid in linked_jobs(text))
    assert isinstance(ticket(text) + frame(text) + words(text), str)


def test_a_large_page_is_read_in_a_moment() -> None:
    started = time.perf_counter()
    for text in ("<tr><td>" * 20_000, "<tr><td>a<td>b</tr>" * 20_000, "var info = {" * 20_000):
        parse_page(text)
    assert time.perf_counter() - started < 10
