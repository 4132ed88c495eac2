"""The list of guards does not rot: `make guards` takes each away and wants a test to fail."""

import ast
from functools import cache

import pytest

from astro_assets_tests.proofs.guards import ROOT, Guard, load_guards


@cache
def _tests_in(file: str) -> frozenset[str]:
    """The tests of a file below `astro_assets_tests`."""
    tree = ast.parse((ROOT / "astro_assets_tests" / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("guard", load_guards(), ids=lambda guard: guard.name)
def test_a_guard_is_in_its_place_and_has_a_test(guard: Guard) -> None:
    assert guard.occurrences == 1
    source = (ROOT / "astro_assets" / guard.file).read_text(encoding="utf-8")
    compile(source.replace(guard.text, guard.instead), guard.file, "exec")
    assert guard.text != guard.instead
    for test in guard.tests:
        file, _, name = test.partition("::")
        assert not name or name in _tests_in(file)


def test_every_guard_has_a_name_of_its_own() -> None:
    names = [guard.name for guard in load_guards()]
    assert len(set(names)) == len(names) >= 50
