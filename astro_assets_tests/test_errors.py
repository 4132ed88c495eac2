"""The tree of errors: each in one branch, and whole after a journey between processes."""

import inspect
import pickle
import re
from pathlib import Path

import pytest

from astro_assets import errors
from astro_assets.errors import (
    AstroAssetsError,
    NothingToDo,
    Permanent,
    SettingsError,
    Transient,
    Unusable,
)

ALL = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__]
BRANCHES = (NothingToDo, SettingsError, Transient, Permanent, Unusable)


def made(kind: type[AstroAssetsError]) -> AstroAssetsError:
    if kind is SettingsError:
        return SettingsError(Path("observatory.toml"), "site.name", "is missing; add it")
    return kind("M31.fits is broken: take it away")


@pytest.mark.parametrize("kind", [c for c in ALL if c is not AstroAssetsError])
def test_each_error_says_in_one_way_whether_trying_again_helps(kind: type) -> None:
    assert issubclass(kind, AstroAssetsError)
    assert sum(issubclass(kind, branch) for branch in BRANCHES) == 1


@pytest.mark.parametrize("kind", ALL)
def test_errors_travel_between_processes_whole(kind: type[AstroAssetsError]) -> None:
    before = made(kind)
    after = pickle.loads(pickle.dumps(before))
    assert type(after) is kind
    assert str(after) == str(before)
    assert vars(after) == vars(before)


def test_a_settings_error_names_file_key_and_way_out() -> None:
    error = SettingsError(Path("/etc/observatory.toml"), "sources[1] (pi).host", "is missing")
    assert str(error) == "/etc/observatory.toml: sources[1] (pi).host: is missing"
    whole = SettingsError(Path("/etc/observatory.toml"), "", "is not TOML")
    assert str(whole) == "/etc/observatory.toml: is not TOML"


def test_the_drawing_of_the_tree_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    above = ["AstroAssetsError"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"(?P<branch>[ │├└─]*)(?P<name>[A-Z]\w+)(  |$)", line)
        if match and "─" in match["branch"]:
            depth = (len(match["branch"]) - 4) // 4
            above = [*above[:depth], match["name"]]
            drawn[match["name"]] = above[depth - 1]
    assert drawn == {c.__name__: c.__base__.__name__ for c in ALL if c is not AstroAssetsError}
