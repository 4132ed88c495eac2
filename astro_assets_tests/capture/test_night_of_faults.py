"""A night with a fault every five minutes ends at dawn, and nothing broken is published."""

from dataclasses import replace
from pathlib import Path

from astro_assets_tests.capture.conftest import MODEL, Pi, write_config
from astro_assets_tests.capture.night_of_faults import SPEED, play


def test_an_hour_of_faults(zwo_pi: Pi, asi_library: Path) -> None:
    write_config(
        zwo_pi.home, Brand="ZWO", Model=MODEL, Library=asi_library, Exposure=20, Image_Frequency=2
    )
    pi = replace(zwo_pi, environment={**zwo_pi.environment, "ASI_SPEED": str(SPEED)})
    night = play(pi, hours=1.0)
    assert night.phase == "done"
    assert len(night.injected) == 11
    # `make capture-faults` holds it to one on a quiet machine; a process that takes a second to
    # start takes a hundred of this night's.
    assert night.lost <= 3 * sum(night.injected.values()), (night, night.log)
    # Each kind of fault was noticed, and said.
    for words in ("status 3", "did not end in time", "removed", "died", "killed", "signal 9"):
        assert words in night.log
