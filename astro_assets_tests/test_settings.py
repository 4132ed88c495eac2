"""Every mistake in the settings gives one sentence with the file, the key and the way out."""

import logging
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from astro_assets.errors import SettingsError
from astro_assets.settings import (
    FolderSource,
    ItelescopeSource,
    PiSource,
    Settings,
    VesperaSource,
    load_settings,
    settings_file,
)
from astro_assets.settings.complaints import _PATTERNS
from astro_assets.settings.sources import MODELS

SITE = '[site]\nname = "Home"\nlatitude_deg = 53.2\nlongitude_deg = 6.5\n'
ITELESCOPE = (
    '[[sources]]\nname = "rented"\nkind = "itelescope"\n'
    'user_env = "RENTED_USER"\npassword_env = "RENTED_PASSWORD"\n'
)
FOLDER = '[[sources]]\nname = "disk"\nkind = "folder"\npath = "frames"\n'
GOOD = f'root = "data"\n{SITE}{ITELESCOPE}{FOLDER}'


def write(folder: Path, text: str) -> Path:
    file = folder / "observatory.toml"
    file.write_text(text, encoding="utf-8")
    return file


def load(folder: Path, text: str) -> Settings:
    return load_settings(write(folder, text))


def refusal(folder: Path, text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    return caught.value


# What is right


def test_settings_with_their_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD)
    assert settings.problems == ()
    assert settings.site.timezone == "UTC"
    assert settings.watch.interval_s == 300
    assert [source.name for source in settings.sources] == ["rented", "disk"]
    rented = settings.source("rented")
    assert isinstance(rented, ItelescopeSource)
    assert (rented.host, rented.port) == ("data.itelescope.net", 21)


def test_the_example_is_right_and_shows_the_defaults(tmp_path: Path) -> None:
    example = Path(__file__).parents[1] / "observatory.example.toml"
    settings = load(tmp_path, example.read_text(encoding="utf-8"))
    assert settings.problems == ()
    assert {source.kind for source in settings.sources} == {
        "itelescope", "vespera", "telescope_org", "pi", "folder",
    }  # fmt: skip
    assert settings.active_sources == ()
    bare = load(tmp_path, f'root = "data"\n{SITE}')
    assert settings.limits == bare.limits
    assert settings.watch == bare.watch
    assert settings.solving == bare.solving


def test_the_example_has_a_comment_on_every_line(tmp_path: Path) -> None:
    example = Path(__file__).parents[1] / "observatory.example.toml"
    content = tomllib.loads(example.read_text(encoding="utf-8"))
    first = {"limits", "watch", "site", "solving"}
    for table in first:
        assert content[table]
    lines = example.read_text(encoding="utf-8").splitlines()
    in_first = False
    for line in lines:
        if line.startswith("["):
            in_first = line.split("]")[0].strip("[") in first
        if in_first and line:
            assert "#" in line, line


def test_disabled_sources_are_known_and_not_active(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD.replace('kind = "folder"', 'kind = "folder"\nenabled = false'))
    assert settings.source("disk").enabled is False
    assert [source.name for source in settings.active_sources] == ["rented"]


def test_an_unknown_source_is_told_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no source 'moon'; there are: rented, disk"):
        load(tmp_path, GOOD).source("moon")


# Paths


def test_relative_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/observer")
    text = (
        f'root = "data"\n{SITE}[solving]\nindex_folders = ["index", "~/index", "/usr/index"]\n'
        f'{FOLDER}[[sources]]\nname = "pi"\nkind = "pi"\nhost = "pi.local"\nuser_env = "PI_USER"\n'
        'key_file = "~/.ssh/pi"\n'
        f'{ITELESCOPE}ca_file = "ca.pem"\n'
    )
    (tmp_path / "etc").mkdir()
    settings = load(tmp_path / "etc", text)
    here = tmp_path / "etc"
    assert settings.root == here / "data"
    assert settings.solving.index_folders == (
        here / "index",
        Path("/home/observer/index"),
        Path("/usr/index"),
    )
    disk, pi, rented = settings.sources
    assert isinstance(disk, FolderSource)
    assert isinstance(pi, PiSource)
    assert isinstance(rented, ItelescopeSource)
    assert disk.path == here / "frames"
    assert pi.key_file == Path("/home/observer/.ssh/pi")
    assert pi.known_hosts == Path("/home/observer/.ssh/known_hosts")
    assert pi.path == "captures"  # on the Pi, not here
    assert rented.ca_file == here / "ca.pem"


def test_a_path_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASTRO_ASSETS_SETTINGS", raising=False)
    assert load_settings().root == tmp_path / "data"
    assert load_settings(Path("observatory.toml")).file == tmp_path / "observatory.toml"


def test_the_variable_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTRO_ASSETS_SETTINGS", str(tmp_path / "other.toml"))
    assert settings_file() == tmp_path / "other.toml"
    with pytest.raises(SettingsError, match=r"other\.toml: there is no such file; .*init"):
        load_settings()


# Mistakes outside of the sources


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        (SITE, "root", "is missing"),
        ('root = "data"\n', "site", "is missing"),
        (f'rooot = "data"\n{SITE}', "rooot", "did you mean 'root'"),
        (GOOD.replace("[site]", "[sit]"), "sit", "did you mean 'site'"),
        (GOOD.replace("latitude_deg", "lattitude_deg"), "site.lattitude_deg", "'latitude_deg'"),
        (GOOD.replace("latitude_deg = 53.2\n", ""), "site.latitude_deg", "is missing; add it"),
        (GOOD.replace("53.2", "95"), "site.latitude_deg", "less than or equal to 90, found 95"),
        (GOOD.replace("53.2", '"north"'), "site.latitude_deg", "number.*found 'north'"),
        (GOOD.replace("53.2", "nan"), "site.latitude_deg", "finite number"),
        (GOOD.replace("6.5\n", "6.5\nelevation_m = inf\n"), "site.elevation_m", "finite number"),
        (
            GOOD.replace("6.5\n", '6.5\ntimezone = "Europe/Amsterdm"\n'),
            "site.timezone",
            "expected a time zone such as Europe/Amsterdam, found 'Europe/Amsterdm'",
        ),
        (GOOD.replace("6.5\n", '6.5\ntimezone = "Europe"\n'), "site.timezone", "a time zone such"),
        (GOOD.replace("6.5\n", '6.5\ntimezone = "../UTC"\n'), "site.timezone", "a time zone such"),
        ('root = "data"\nsite = 5\n', "site", "expected a table, found 5"),
        (f'{GOOD}[watch]\ninterval_s = 1\n', "watch.interval_s", "greater than or equal to 5"),
        (f'{GOOD}[watch]\nintervall_s = 10\n', "watch.intervall_s", "'interval_s'"),
        (f'{GOOD}[limits]\nmin_stars = "few"\n', "limits.min_stars", "integer.*found 'few'"),
        (f"{GOOD}[moon]\nphase = 1\n", "moon", "there are root, site, watch"),
        (GOOD.replace('"data"', '"s3://bucket/data"'), "root", "folder or file on this machine"),
        (GOOD.replace('"data"', '"~nobody-here/data"'), "root", "no such home folder"),
        (f'root = "data"\n{SITE}[sources]\nname = "x"\n', "sources", "valid list, found one"),
        (f'root = "data"\n{SITE.replace("[site]", "sources = [3]" + chr(10) + "[site]")}',
         "sources.0", "expected a table, found 3"),
        ("root = data\n", "", r"is not TOML; mend it there: .*line 1"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_key_and_way_out(
    tmp_path: Path, text: str, key: str, expected: str
) -> None:
    error = refusal(tmp_path, text)
    assert error.key == key
    assert error.file == tmp_path / "observatory.toml"
    where = f"{tmp_path / 'observatory.toml'}: {key}" if key else str(tmp_path)
    assert str(error).startswith(where)
    assert re.search(expected, error.expected)
    assert "\n" not in str(error)
    assert not re.search(r"pydantic|type=|https?://(?!.*found)", str(error))


def test_no_file_a_folder_and_odd_bytes(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"gone\.toml: there is no such file; `astro-assets init`"
    ):
        load_settings(tmp_path / "gone.toml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(tmp_path)
    (tmp_path / "latin.toml").write_bytes('root = "Größe"'.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"latin\.toml: is not UTF-8 text; save it as UTF-8"):
        load_settings(tmp_path / "latin.toml")


def test_a_file_from_an_editor_that_marks_utf8(tmp_path: Path) -> None:
    (tmp_path / "observatory.toml").write_text(GOOD, encoding="utf-8-sig")
    assert load_settings(tmp_path / "observatory.toml").problems == ()


# Mistakes in one source


@pytest.mark.parametrize(
    ("source", "key", "expected"),
    [
        (ITELESCOPE.replace("kind", "knd"), "kind", "is missing; add one of 'itelescope'"),
        (ITELESCOPE.replace("itelescope", "itelescop"), "kind", "one of 'itelescope'.*'itelescop'"),
        (ITELESCOPE.replace('"itelescope"', "3"), "kind", "expected one of 'itelescope'"),
        (ITELESCOPE.replace("user_env", "user_evn"), "user_evn", "did you mean 'user_env'"),
        (ITELESCOPE.replace('user_env = "RENTED_USER"\n', ""), "user_env", "is missing; add it"),
        (ITELESCOPE + 'hots = "x"\n', "hots", "did you mean 'host'"),
        (ITELESCOPE + "port = 70000\n", "port", "less than or equal to 65535, found 70000"),
        (ITELESCOPE + 'port = "ftp"\n', "port", "integer.*found 'ftp'"),
        (ITELESCOPE + 'host = ""\n', "host", "a host's name or address alone"),
        (ITELESCOPE + 'host = "ftp://data.itelescope.net"\n', "host", "a host's name or address"),
        (ITELESCOPE + 'certificate_sha256 = "AB:CD"\n', "certificate_sha256", "64 hexadecimal"),
        (ITELESCOPE + 'select = {tragets = ["M31"]}\n', "select.tragets", "mean 'targets'"),
        (ITELESCOPE + 'select = {targets = "M31"}\n', "select.targets", "a list in square"),
        (ITELESCOPE + 'select = {first_night = "soon"}\n', "select.first_night", "2026-11-20"),
        (ITELESCOPE + 'select = {kinds = ["flot"]}\n', "select.kinds.0", "'flat'.*'flot'"),
        (ITELESCOPE + "max_connections = 99\n", "max_connections", "equal to 8, found 99"),
        (ITELESCOPE + "gain_e_per_adu = 0\n", "gain_e_per_adu", "greater than 0"),
        (ITELESCOPE + 'enabled = "perhaps"\n', "enabled", "boolean.*found 'perhaps'"),
        (ITELESCOPE.replace('"rented"', '"My Scope"'), "name", "a small letter.*found 'My Scope'"),
        (ITELESCOPE.replace('name = "rented"\n', ""), "name", "is missing"),
        (FOLDER.replace("disk", "other").replace("path", "pth"), "pth", "did you mean 'path'"),
        (FOLDER, "name", "another source has this name; choose a new one"),
        (
            FOLDER.replace("disk", "other").replace('"frames"', '"smb://nas/frames"'),
            "path",
            "folder or file on this machine, found 'smb://nas/frames'",
        ),
    ],
)
def test_one_bad_source_does_not_stop_the_others(
    tmp_path: Path, source: str, key: str, expected: str
) -> None:
    vespera = '[[sources]]\nname = "dwarf"\nkind = "vespera"\n'
    settings = load(tmp_path, f'root = "data"\n{SITE}{FOLDER}{source}{vespera}')
    assert [s.name for s in settings.sources] == ["disk", "dwarf"]
    assert isinstance(settings.source("dwarf"), VesperaSource)
    (problem,) = settings.problems
    assert re.fullmatch(rf"sources\[2\]( \(.*\))?\.{key}", problem.key)
    assert re.search(expected, problem.expected)
    assert str(problem).startswith(f"{tmp_path / 'observatory.toml'}: sources[2]")
    assert "\n" not in str(problem)


def test_every_bad_source_has_its_sentence(tmp_path: Path) -> None:
    bad = ITELESCOPE + "port = 0\n"
    settings = load(tmp_path, f'root = "data"\n{SITE}{bad}{bad.replace("rented", "too")}{FOLDER}')
    assert [problem.key for problem in settings.problems] == [
        "sources[1] (rented).port",
        "sources[2] (too).port",
    ]
    assert [source.name for source in settings.sources] == ["disk"]


# Secrets

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENTED_USER", raising=False)
    monkeypatch.delenv("RENTED_PASSWORD", raising=False)


def credentials(settings: Settings) -> tuple[str, str]:
    source = settings.source("rented")
    assert isinstance(source, ItelescopeSource)
    return source.credentials(settings.secrets)


def test_secrets_from_dotenv_beside_the_file_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"RENTED_USER=ann\nRENTED_PASSWORD={SECRET}\n")
    assert credentials(load(tmp_path, GOOD)) == ("ann", SECRET)
    monkeypatch.setenv("RENTED_PASSWORD", "from the environment")
    assert credentials(load(tmp_path, GOOD)) == ("ann", "from the environment")


@pytest.mark.parametrize(
    "written", ["pa$$word", "a${HOME}b", "$HOME", "p#w", "'quo ted'", '"double quoted"', "a=b=c"]
)
def test_a_password_is_taken_as_it_stands(tmp_path: Path, written: str) -> None:
    (tmp_path / ".env").write_text(f"RENTED_USER=ann\nRENTED_PASSWORD={written}\n")
    assert credentials(load(tmp_path, GOOD))[1] == written.strip("'\"")


def test_dotenv_from_an_editor_that_marks_utf8(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RENTED_USER=ann\nRENTED_PASSWORD=é\n", encoding="utf-8-sig")
    assert credentials(load(tmp_path, GOOD)) == ("ann", "é")


def test_dotenv_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"RENTED_USER=\xff\xfe")
    assert str(refusal(tmp_path, GOOD)) == (
        f"{tmp_path / '.env'}: is not UTF-8 text; save it as UTF-8"
    )


@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_variable_is_named_and_no_value_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: bool
) -> None:
    (tmp_path / ".env").write_text(f"RENTED_USER={SECRET}\n")
    if empty:
        monkeypatch.setenv("RENTED_PASSWORD", "")
    settings = load(tmp_path, GOOD)
    with pytest.raises(SettingsError) as caught:
        credentials(settings)
    error = caught.value
    assert error.key == "sources.rented.password_env"
    assert "RENTED_PASSWORD is not set or empty; set it, or write RENTED_PASSWORD=… into" in str(
        error
    )
    assert str(tmp_path / ".env") in str(error)
    assert SECRET not in str(error)


def test_no_secret_is_printed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / ".env").write_text(
        f"RENTED_USER=ann\nRENTED_PASSWORD={SECRET}\nodd line {SECRET}\n"
    )
    settings = load(tmp_path, GOOD)
    assert credentials(settings)[1] == SECRET
    printed = [
        repr(settings),
        str(settings),
        f"{settings.secrets!r} {settings.secrets}",
        repr(settings.sources),
        settings.model_dump_json(exclude={"secrets", "problems"}),
        caplog.text,
    ]
    assert not [text for text in printed if SECRET in text]


@pytest.mark.parametrize(
    "mistake",
    [
        f'password = "{SECRET}"',
        f'password_env = "{SECRET}"',
        f'host = "ftp://ann:{SECRET}@data.itelescope.net"',
        f'path = ["{SECRET}"]',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path, mistake: str) -> None:
    key = mistake.split(" ", maxsplit=1)[0]
    source = re.sub(rf"(?m)^{key} = .*\n", "", ITELESCOPE)
    settings = load(tmp_path, f'root = "data"\n{SITE}{source}{mistake}\n')
    (problem,) = settings.problems
    assert problem.key == f"sources[1] (rented).{key}"
    assert SECRET not in str(problem)
    assert SECRET not in repr(settings)


def test_a_secret_in_one_table_for_all_sources_is_not_shown(tmp_path: Path) -> None:
    text = f'root = "data"\n{SITE}[sources]\nname = "x"\npassword = "{SECRET}"\n'
    assert SECRET not in str(refusal(tmp_path, text))


def test_every_form_that_a_text_must_have_has_words_for_it() -> None:
    def patterns(schema: object) -> Iterator[str]:
        if isinstance(schema, dict):
            yield from [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
            schema = list(schema.values())
        if isinstance(schema, list):
            for part in schema:
                yield from patterns(part)

    found = {p for model in MODELS.values() for p in patterns(model.model_json_schema())}
    assert len(found) > 3
    assert found <= set(_PATTERNS)


@pytest.mark.parametrize("spelled", ["AB:" * 31 + "AB", "ab" * 32])
def test_a_pin_may_be_spelled_as_other_programs_do(tmp_path: Path, spelled: str) -> None:
    text = f'root = "data"\n{SITE}{ITELESCOPE}certificate_sha256 = "{spelled}"\n'
    source = load(tmp_path, text).source("rented")
    assert isinstance(source, ItelescopeSource)
    assert source.certificate_sha256 == "ab" * 32


def test_every_kind_has_a_model_and_every_model_is_strict() -> None:
    def models(base: type[BaseModel]) -> list[type[BaseModel]]:
        return [m for sub in base.__subclasses__() for m in (sub, *models(sub))]

    ours = [m for m in models(BaseModel) if m.__module__.startswith("astro_assets.settings")]
    strict = [m for m in ours if m is not Settings]
    assert len(strict) >= 10
    assert all(m.model_config.get("extra") == "forbid" for m in strict)
