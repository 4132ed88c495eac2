"""The simulated observatory, running."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets_tests.sim.servers.served import NIGHT, SESSION, ZIPPED, frame, job, put


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated")
    served = root / "served"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"{Path(ZIPPED).name}.fit", frame(1))
    put(served / "itelescope" / f"{ZIPPED}.fit.zip", packed.getvalue())
    put(served / "itelescope/CALIBRATION FILES/T20/dark.fit", frame(2))
    for number in (1, 2):
        put(served / "vespera/user" / SESSION / f"img-{number:04d}.fits", frame(10 + number))
    jobs = [job(423180 + n, 771700 + n) for n in range(103)]
    jobs += [job(423180, 771900), job(None, 771901, 3), job(None, 771902, 20)]
    put(served / "telescope_org/jobs.json", json.dumps(jobs).encode())
    for number, name in enumerate("BVR"):
        put(served / f"telescope_org/423180/{name}.fits", frame(20 + number, FILTER=name))
    captures = served / f"pi/captures/{NIGHT}"
    put(captures / "bias-001.fits", frame(30, IMAGETYP="Bias Frame"))
    put(captures / "manifest.jsonl", b'{"file": "bias-001.fits"}\n')
    for number in (1, 2, 3):
        cards = {"IMAGETYP": "Light Frame", "OBJECT": "M 42", "EXPTIME": 10.0, "GAIN": 120}
        put(
            served / f"pi/.prepared/{NIGHT}/light-{number:03d}.fits",
            frame(40 + number, **cards, **{"CCD-TEMP": -10.0}),
        )
    return root


@pytest.fixture(scope="module")
def observatory(tree: Path) -> Iterator[SimulatedObservatory]:
    with SimulatedObservatory(tree, seconds_per_frame=0.05) as running:
        yield running
