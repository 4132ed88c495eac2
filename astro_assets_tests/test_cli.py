"""What a person types and reads: sentences, exit statuses, and never a traceback."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from astro_assets import __version__, cli
from astro_assets.settings import SETTINGS_VARIABLE, load_settings
from astro_assets.sim.night import make_night
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.store import write_json
from astro_assets_tests.defs.conftest import SITE

HEAD = f'root = "data"\n{SITE}'
FOLDER = '[[sources]]\nname = "archive"\nkind = "folder"\npath = "frames"\n'
Typed = Callable[..., Result]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in; nothing set in the environment."""
    monkeypatch.chdir(tmp_path)
    # Set and taken away, so that what the command sets itself does not outlive the test.
    for variable in (SETTINGS_VARIABLE, "DAGSTER_HOME"):
        monkeypatch.setenv(variable, "")
    (tmp_path / "frames").mkdir()
    return tmp_path


@pytest.fixture
def typed(here: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def typed(*words: str) -> Result:
        result = CliRunner().invoke(cli.main, words)
        if result.exception is not None:
            assert isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    return typed


def settings(here: Path, text: str) -> Path:
    file = here / "observatory.toml"
    file.write_text(text)
    return file


def port_that_nobody_serves() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# Help


def test_help_names_every_command(typed: Typed) -> None:
    result = typed("--help")
    assert result.exit_code == 0
    for command in ("sync", "check", "demo", "simulate", "init"):
        assert command in result.output
        said = typed(command, "--help")
        assert said.exit_code == 0
        assert said.output.count(".") >= 1


def test_version(typed: Typed) -> None:
    assert __version__ in typed("--version").output


def test_a_command_that_does_not_exist_is_named(typed: Typed) -> None:
    result = typed("snyc")
    assert result.exit_code == 2
    assert "snyc" in result.output


# init


def test_init_writes_settings_that_can_be_read(typed: Typed, here: Path) -> None:
    result = typed("init")
    assert result.exit_code == 0
    assert "observatory.toml is written" in result.output
    found = load_settings(here / "observatory.toml")
    assert found.problems == ()


def test_init_leaves_what_is_there(typed: Typed, here: Path) -> None:
    file = settings(here, "mine")
    result = typed("init")
    assert result.exit_code == 1
    assert "observatory.toml: is there already" in result.stderr
    assert file.read_text() == "mine"


def test_init_where_nothing_can_be_written_says_so(typed: Typed) -> None:
    result = typed("init", "no/such/folder/observatory.toml")
    assert result.exit_code == 1
    assert "cannot be written (No such file or directory)" in result.stderr


# sync


def test_sync_without_settings_says_what_to_do(typed: Typed) -> None:
    result = typed("sync")
    assert result.exit_code == 1
    assert "astro-assets init" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_sync_with_nothing_to_do(typed: Typed, here: Path) -> None:
    settings(here, HEAD + FOLDER)
    result = typed("sync")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"0 runs. Products: {here / 'data'}" in result.stdout


@pytest.mark.parametrize("text", [HEAD, HEAD + FOLDER + "enabled = false\n"])
def test_sync_without_a_source_shows_what_to_write(typed: Typed, here: Path, text: str) -> None:
    settings(here, text)
    result = typed("sync")
    assert result.exit_code == 1
    assert "[[sources]]" in result.stderr


def test_sync_of_an_unknown_source_names_those_there_are(typed: Typed, here: Path) -> None:
    settings(here, HEAD + FOLDER)
    result = typed("sync", "archvie")
    assert result.exit_code == 1
    assert "'archvie'" in result.stderr
    assert "archive" in result.stderr


def test_sync_of_a_source_that_is_switched_off_says_so(typed: Typed, here: Path) -> None:
    settings(here, HEAD + FOLDER + "enabled = false\n")
    result = typed("sync", "archive")
    assert result.exit_code == 1
    assert "sources.archive.enabled" in result.stderr


def test_a_typo_in_one_source_is_named_and_the_others_are_looked_at(
    typed: Typed, here: Path
) -> None:
    typo = '[[sources]]\nname = "garden"\nkind = "pi"\nhots = "localhost"\nuser_env = "U"\n'
    file = settings(here, HEAD + FOLDER + typo)
    result = typed("sync")
    assert result.exit_code == 1
    for part in (str(file), "sources[2] (garden)", "host"):
        assert part in result.stderr
    assert "0 runs." in result.stdout
    assert "sources[2] (garden)" in typed("sync", "garden").stderr


def test_a_folder_that_is_not_there_is_a_sentence(typed: Typed, here: Path) -> None:
    (here / "frames").rmdir()
    settings(here, HEAD + FOLDER)
    result = typed("sync")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("failed: archive")
    assert str(here / "frames") in line


@pytest.mark.parametrize(
    ("kind", "more", "exit_code"),
    [
        ("vespera", "", 0),
        ("itelescope", 'user_env = "PATH"\npassword_env = "PATH"\n', 1),
        ("telescope_org", 'user_env = "PATH"\npassword_env = "PATH"\n', 1),
        ("pi", 'user_env = "PATH"\npassword_env = "PATH"\nknown_hosts = "hosts"\n', 1),
    ],
)
def test_a_server_that_is_off_is_a_sentence_and_the_others_go_on(
    typed: Typed, here: Path, kind: str, more: str, exit_code: int
) -> None:
    (here / "hosts").touch()
    port = port_that_nobody_serves()
    source = f'[[sources]]\nname = "far"\nkind = "{kind}"\nhost = "localhost"\nport = {port}\n'
    settings(here, HEAD + source + more + FOLDER)
    result = typed("sync")
    assert result.exit_code == exit_code, result.output
    said = result.stdout if exit_code == 0 else result.stderr
    assert "far" in said
    assert str(port) in said
    assert "0 runs." in result.stdout


def test_a_certificate_that_is_not_checked_is_told_at_each_run(typed: Typed, here: Path) -> None:
    port = port_that_nobody_serves()
    text = (
        f'[[sources]]\nname = "far"\nkind = "itelescope"\nhost = "localhost"\nport = {port}\n'
        'user_env = "PATH"\npassword_env = "PATH"\ninsecure_no_certificate_check = true\n'
    )
    settings(here, HEAD + text)
    for _ in range(2):
        assert "note: far: insecure_no_certificate_check is set" in typed("sync").stdout


def test_brackets_in_a_sentence_are_shown_as_they_stand(
    typed: Typed, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = FOLDER.replace("frames", "[/red] of [bold]mine")
    settings(here, HEAD + folder)
    result = typed("sync")
    assert result.exit_code == 1
    assert "[/red] of [bold]mine" in result.stderr


def stacked(here: Path, session: str) -> Path:
    """A session that has come as far as its stack; its folder of stacks."""
    folder = here / "data/stacks/archive" / session
    night, target, _ = session.split("_")
    state = {"source": "archive", "session": session, "night": night, "target": target,
             "filters": [], "digest": "d"}  # fmt: skip
    write_json(folder / "stack.json", state)
    for table, columns in (
        ("solved/archive/{}/frames.parquet", ["frame", "accepted", "solved", "reason"]),
        ("calibrated/archive/{}/frames.parquet", ["frame", "reason"]),
    ):
        path = here / "data" / table.format(session)
        path.parent.mkdir(parents=True)
        pd.DataFrame(columns=columns).to_parquet(path)
    return folder


def test_a_damaged_stack_is_one_sentence_and_the_others_are_shown(typed: Typed, here: Path) -> None:
    settings(here, HEAD + FOLDER)
    stacked(here, "2026-11-20_M31_T20")
    damaged = stacked(here, "2026-11-20_M33_T20") / "stack.json"
    for text in ("{", "[]", "{}", ""):
        damaged.write_text(text)
        result = typed("sync")
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"failed: {damaged} is damaged")
        assert "delete" in line
        assert "2026-11-20_M31_T20" in result.stdout
    assert (here / "data/reports/2026-11-20/index.html").is_file()


@pytest.mark.parametrize("table", ["solved", "calibrated"])
def test_a_damaged_table_is_one_sentence_and_the_others_are_shown(
    typed: Typed, here: Path, table: str
) -> None:
    settings(here, HEAD + FOLDER)
    stacked(here, "2026-11-20_M31_T20")
    stacked(here, "2026-11-20_M33_T20")
    damaged = here / f"data/{table}/archive/2026-11-20_M33_T20/frames.parquet"
    damaged.write_bytes(b"PAR1 and no more")
    typed("sync")
    result = typed("sync")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"failed: {damaged} is damaged")
    assert "2026-11-20_M31_T20" in result.stdout
    assert (here / "data/frames.csv").is_file()


@pytest.mark.parametrize("text", ["concurrency: [", "concurrency:\n  runz: 3\n", "words", "\0"])
def test_a_broken_dagster_yaml_is_one_sentence(typed: Typed, here: Path, text: str) -> None:
    settings(here, HEAD + FOLDER)
    file = here / "data/dagster/dagster.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    result = typed("sync")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"astro-assets: {file}: is not understood; mend it, or delete it")
    file.unlink()
    os.environ["DAGSTER_HOME"] = ""
    assert typed("sync").exit_code == 0


# check


def test_check_shows_a_tick_or_a_sentence_for_each_step(typed: Typed, here: Path) -> None:
    telescope = '[[sources]]\nname = "far"\nkind = "vespera"\nhost = "localhost"\nport = {}\n'
    settings(here, HEAD + FOLDER + telescope.format(port_that_nobody_serves()))
    result = typed("check")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "archive, folder"
    assert lines[1].startswith("  ✓ settings")
    assert f"  ✓ folder      {here / 'frames'}" in lines
    assert "  – log-in" in lines
    assert "no fault" in result.stdout


def test_check_fails_when_a_step_does(typed: Typed, here: Path) -> None:
    (here / "frames").rmdir()
    settings(here, HEAD + FOLDER)
    result = typed("check", "archive")
    assert result.exit_code == 1
    assert "  ✗ folder" in result.stdout
    assert "  – listing" in result.stdout.splitlines()


def test_check_of_a_source_that_is_switched_off_is_made_when_it_is_named(
    typed: Typed, here: Path
) -> None:
    settings(here, HEAD + FOLDER + "enabled = false\n")
    result = typed("check", "archive")
    assert result.exit_code == 0
    assert "archive, folder, switched off in the settings" in result.stdout
    assert typed("check").exit_code == 1


def test_check_tells_a_typo_in_one_source_and_checks_the_others(typed: Typed, here: Path) -> None:
    settings(here, HEAD + FOLDER + '[[sources]]\nname = "garden"\nkind = "po"\n')
    result = typed("check")
    assert result.exit_code == 1
    assert "sources[2] (garden)" in result.stderr
    assert "✓ folder" in result.stdout


def test_check_trust_stores_a_host_key_only_when_it_may(
    typed: Typed, here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("pi")
    (root / "served/pi/captures").mkdir(parents=True)
    with SimulatedObservatory(root) as observatory:
        observatory.write_environment(here / ".env")
        text = observatory.settings_toml(here / "data")
        settings(here, text.replace(str(observatory.known_hosts), "hosts"))
        unknown = typed("check", "pi")
        assert unknown.exit_code == 1
        assert "astro-assets check pi --trust" in " ".join(unknown.stdout.split())
        nobody = typed("check", "pi", "--trust")
        assert nobody.exit_code == 1
        assert "SHA256:" in nobody.stdout
        assert "add --yes" in " ".join(nobody.stdout.split())
        assert not (here / "hosts").exists()
        agreed = typed("check", "pi", "--trust", "--yes")
        assert agreed.exit_code == 0, agreed.output
        assert "ssh-ed25519 SHA256:" in agreed.stdout
        assert typed("check", "pi").exit_code == 0
        assert typed("check", "--yes").exit_code == 2


# demo and simulate


def test_demo_outside_of_the_project_says_where_to_go(typed: Typed, here: Path) -> None:
    result = typed("demo")
    assert result.exit_code == 1
    assert str(here / "workspace.yaml") in result.stderr


def test_demo_does_not_empty_a_folder_that_it_did_not_make(typed: Typed, here: Path) -> None:
    (here / "workspace.yaml").touch()
    precious = here / "data" / "raw.fits"
    precious.parent.mkdir()
    precious.touch()
    for folder in (".", "data"):
        result = typed("demo", "--folder", folder)
        assert result.exit_code == 1
        assert "not the demo's" in result.stderr
    assert precious.exists()


def test_simulate_serves_until_it_is_interrupted(here: Path) -> None:
    make_night(here / "sky", sources=["vespera"], size="small", truth_images=False)
    process = subprocess.Popen(
        [Path(sys.executable).with_name("astro-assets"), "simulate", "--folder", "sky"],
        env={**os.environ, "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            break
    found = load_settings(here / "sky/observatory.toml")
    (source,) = found.active_sources
    with socket.create_connection((source.host, source.port), timeout=10):  # type: ignore[union-attr]
        pass
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Stopped." in rest
    assert "Traceback" not in "".join(said) + rest


# A fault of ours


def test_a_crash_is_a_sentence_and_the_traceback_goes_to_a_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    cli._crashed(caught.type, caught.value, caught.tb)
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "Traceback" not in said
    assert "_ = 1 / 0" in (here / "astro-assets-crash.log").read_text()
