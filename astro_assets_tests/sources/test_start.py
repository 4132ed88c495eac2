"""What is loaded before the first byte is asked for: each library costs every start."""

import subprocess
import sys

import pytest

_HEAVY = ("astropy", "paramiko", "httpx", "bs4", "tifffile", "dagster")


@pytest.mark.parametrize(("kind", "needed"), [("itelescope", set()), ("pi", {"paramiko"})])
def test_only_what_a_source_needs(kind: str, needed: set[str]) -> None:
    program = (
        "import sys, astro_assets.sources.fetch; from astro_assets.sources.kinds import KINDS; "
        f"KINDS[{kind!r}]; print(*sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(told.stdout.split()) & set(_HEAVY) == needed
