"""Modules loaded quickly, and while something else waits."""

import gc
import sys
import threading
from pathlib import Path

import pytest

from astro_assets.loading import loaded_meanwhile, loading


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of which every module can be imported, under names that are used nowhere else."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_the_collector_rests_while_modules_are_loaded_and_goes_on_after_a_fault() -> None:
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), loading():
        raise ImportError
    assert gc.isenabled()


def test_modules_are_loaded_by_another_thread_and_are_there_at_the_end(modules: Path) -> None:
    (modules / "large_library_1.py").write_text("import threading\nby = threading.get_ident()\n")
    turn_s = sys.getswitchinterval()
    with loaded_meanwhile("large_library_1"):
        assert sys.getswitchinterval() < turn_s
    assert sys.modules["large_library_1"].by != threading.get_ident()
    assert sys.getswitchinterval() == turn_s
    with loaded_meanwhile("large_library_1"):
        assert sys.getswitchinterval() == turn_s, "there is nothing to load any more"


def test_the_block_does_not_wait_for_the_modules(modules: Path) -> None:
    (modules / "large_library_2.py").write_text(
        "import pathlib, time\n"
        "while not pathlib.Path(__file__).with_name('done').exists():\n    time.sleep(0.001)\n"
    )
    with loaded_meanwhile("large_library_2"):
        (modules / "done").touch()
    assert "large_library_2" in sys.modules


def test_a_library_that_cannot_be_loaded_is_told_where_it_is_used(modules: Path) -> None:
    (modules / "large_library_3.py").write_text("raise ImportError('no such symbol')\n")
    with loaded_meanwhile("large_library_3"):
        pass
    with pytest.raises(ImportError, match="no such symbol"):
        __import__("large_library_3")
