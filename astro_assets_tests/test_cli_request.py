"""`astro-assets request`, as a person types it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from astro_assets.cli import main
from astro_assets_tests.sources.conftest import Night, put
from astro_assets_tests.sources.conftest import night as _night

night = _night

OPTIONS = ("--telescope", "galaxy", "--filter", "BVR", "--exposure", "120")


@pytest.fixture
def request_(night: Night, monkeypatch: pytest.MonkeyPatch) -> "Ask":
    monkeypatch.chdir(night.file.parent)
    return Ask(night)


class Ask:
    def __init__(self, night: Night) -> None:
        self.counts = night.observatory.requests["telescope_org"]
        self.folder = night.file.parent

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["request", *words])


def test_by_name_and_by_place(request_: Ask) -> None:
    first = request_("M 31", "05:35:17.3 -05:23:28", *OPTIONS, "--comments", "by hand")
    assert first.exit_code == 0, first.output
    assert first.output.count("submitted") == 2
    assert "J053517-052328" in first.output
    second = request_("m31", *OPTIONS)
    assert "new" in second.output
    assert "submitted" not in second.output
    assert request_.counts.submissions == 2
    assert "J053517-052328" in request_().output, "what is not asked about is followed"


TABLES = {
    "wishes.csv": """\
name, ra, dec, filter, exposure_s, telescope, comments
M 31,,,BVR,120,galaxy,"one, two"
M 33,,,V,60,coast,
""",
    "wishes.toml": """\
[[requests]]
name = "M 31"
filter = "BVR"
exposure_s = 120
telescope = "galaxy"
[[requests]]
name = "M 33"
ra = 23.462
dec = 30.66
filter = "V"
exposure_s = 60
telescope = "coast"
""",
}


@pytest.mark.parametrize("name", TABLES)
def test_from_a_table(request_: Ask, name: str) -> None:
    put(request_.folder / name, TABLES[name])
    result = request_("--file", name)
    assert result.exit_code == 0, result.output
    assert result.output.count("submitted") == 2
    assert request_.counts.submissions == 2


def test_a_row_that_is_wrong_does_not_stop_the_others(request_: Ask) -> None:
    put(
        request_.folder / "wishes.csv",
        "name,filter,exposure_s,telescope\nM 31,BVR,long,galaxy\nM 33,BVR,60,galaxy\nM 1,BVR,999,"
        "galaxy\nM 2,BVR,60,galaxy,5\n",
    )
    result = request_("--file", "wishes.csv")
    assert result.exit_code == 1
    assert "line 2.exposure_s" in result.output
    assert "M 1: 999 s cannot be exposed" in result.output
    assert "line 5.more cells than columns: there is no such key" in result.output
    assert request_.counts.submissions == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("M 31", "--telescope", "galaxy"), "a TARGET needs --filter, --exposure as well"),
        (("--file", "nothing.csv"), "nothing.csv: cannot be read: No such file"),
        (("--source", "pi"), "sources.pi: takes no requests"),
        (("--source", "none"), "there is no source 'none'"),
    ],
)
def test_what_is_typed_wrong_is_told(request_: Ask, words: tuple[str, ...], sentence: str) -> None:
    result = request_(*words)
    assert result.exit_code != 0
    assert sentence in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.csv", "object,ra\nM 31,1\n", "exposure_s, filter, telescope must be there"),
        ("a.csv", "", "must be there"),
        ("a.csv", 'name,filter,exposure_s,telescope\n"M 31,B,1,galaxy\n', "is not CSV; mend it"),
        ("a.toml", "requests = 1\n", "write one [[requests]] table per target"),
        ("a.toml", "[[requests]\n", "is not TOML; mend it there"),
    ],
)
def test_a_table_that_is_none(request_: Ask, name: str, text: str, sentence: str) -> None:
    put(request_.folder / name, text)
    result = request_("--file", name)
    assert result.exit_code == 1
    assert sentence in result.output
    assert request_.counts.logins == 0


def test_the_source_s_own_table_is_the_default(request_: Ask) -> None:
    put(request_.folder / "mine.csv", "name,filter,exposure_s,telescope\nM 31,BVR,120,galaxy\n")
    settings = Path("observatory.toml")
    kind = 'kind = "telescope_org"\n'
    text = settings.read_text()
    settings.write_text(text.replace(kind, f'{kind}requests_file = "mine.csv"\n'))
    assert "submitted" in request_().output
    assert "No requests." not in request_().output
    settings.write_text(text.replace(kind, f"{kind}enabled = false\n"))
    assert "no telescope_org source that is enabled" in request_().output.replace("\n", " ")


def test_nothing_at_all(request_: Ask) -> None:
    result = request_()
    assert (result.exit_code, result.output.strip()) == (0, "No requests.")
