"""The demo's Pi: the real capture program takes the simulated night's frames, and they arrive."""

import time
from datetime import UTC, date, datetime
from pathlib import Path

from astropy.io import fits

from astro_assets.frame import FrameKind
from astro_assets.settings import load_settings
from astro_assets.sim.night import make_night
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sources.batches import look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.steps.arm import arm_capture
from astro_assets.steps.pi_camera import camera_status
from astro_assets.store import Store

NIGHT = date(2026, 11, 20)


def test_the_real_program_takes_the_frames_while_they_are_fetched(tmp_path: Path) -> None:
    make_night(tmp_path, sources=["pi"], size="small", capture="on-arm", truth_images=False)
    with SimulatedObservatory(tmp_path, capture_program=True, seconds_per_frame=2.0) as pi:
        file = tmp_path / "observatory.toml"
        file.write_text(pi.settings_toml(tmp_path / "data"))
        pi.write_environment(tmp_path / ".env")
        settings = load_settings(file)
        source = settings.source("pi")
        prepared = len(list(tmp_path.glob("served/pi/.prepared/*/*.fits")))
        # A night that was not simulated has nothing to take.
        assert arm_capture(settings, "pi", date(2026, 11, 21)).state == "without a sky"
        armed = arm_capture(settings, "pi", NIGHT)
        assert armed.state == "armed"
        assert "| M 42 | 01:30–01:3" in armed.plan.table("Atlantic/Canary")
        seen = set()
        until = time.monotonic() + 60
        while not (status := camera_status(settings, "pi", datetime.now(UTC))).over:
            seen.add(status.frames)
            assert time.monotonic() < until, status
            time.sleep(0.5)
        assert status.phase == "done"
        assert len(seen) > 2
        (session,) = [b for b in look(source, settings) if b.kind is FrameKind.LIGHT]
        assert session.key == "2026-11-20_M42_ZWO-ASI294MC"
        assert session.closed
        # A machine that is late misses beats of this pace.
        assert 3 <= status.frames == len(session.files) <= prepared
        manifest = fetch_batch(
            lambda: connect(source, settings.secrets), session, Store(settings.root)
        )
        assert len(list(manifest.frames())) == status.frames
    header = fits.getheader(next((tmp_path / "data/raw/pi").rglob("light-*.fits")))
    assert header["OBJECT"].replace(" ", "") == "M42"
