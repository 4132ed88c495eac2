"""A night with a fault every five minutes ends at dawn, and nothing broken is published."""

from dataclasses import replace
from pathlib import Path

from astro_assets_tests.capture.conftest import MODEL, Pi, write_config
from astro_assets_tests.capture.night_of_faults import CAMERA_FAULTS, SPEED, play


def test_an_hour_with_every_fault(zwo_pi: Pi, asi_library: Path) -> None:
    write_config(
        zwo_pi.home, Brand="ZWO", Model=MODEL, Library=asi_library, Exposure=20, Image_Frequency=2
    )
    pi = replace(zwo_pi, environment={**zwo_pi.environment, "ASI_SPEED": str(SPEED)})
    night = play(pi, hours=1.0)
    assert night.phase == "done"
    assert {fault.name for fault in night.faults} == {
        *CAMERA_FAULTS, "absent", "SIGKILL", "SIGSEGV", "wedged",
    }  # fmt: skip
    # `make capture-faults` holds each fault to one; here other tests run beside it.
    assert night.lost <= len(night.faults), (night.by_name(), night.log)
    assert not night.unsaid, (night.unsaid, night.log)
    # Each kind of fault was noticed, and said.
    for words in ("status 3", "did not end in time", "removed", "died", "killed", "signal 9"):
        assert words in night.log
