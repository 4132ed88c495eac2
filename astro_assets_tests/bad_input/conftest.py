"""One night with every kind of bad input, through one `sync`; then the settings are mended."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from astro_assets.sim.cameras import M_42
from astro_assets.sim.night import make_night
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sim.truth_writer import zip_bytes
from astro_assets_tests.bad_input.bench import Bench, Ended, folder_source
from astro_assets_tests.bad_input.frames import cut, drop, write, write_lights

SHAPE = (400, 480)
WRONG = "not-the-password"


@dataclass(frozen=True)
class BadNight:
    """What was served, what `sync` said, and what it said once the settings were mended."""

    bench: Bench
    served: Path
    observatory: SimulatedObservatory
    ended: Ended
    logins_refused: dict[str, int]
    again: Ended


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="package")
def bad_night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadNight]:
    folder = tmp_path_factory.mktemp("bad")
    _fill_garden(folder / "garden")
    write_lights(folder / "roof", 1, field=M_42)
    make_night(folder, size="small", sources=["itelescope", "telescope_org"], truth_images=False)
    _spoil_zips(folder / "served/itelescope")
    bench = Bench(folder)
    with SimulatedObservatory(folder) as observatory:
        good = (folder_source("garden", "garden"), folder_source("roof", "roof"))
        servers = observatory.settings_toml(folder / "data").split("[[sources]]\n")[1:]
        itelescope, telescope_org = servers
        bench.write(
            *good,
            itelescope,
            telescope_org.replace("SIM_TELESCOPE_ORG_PASSWORD", "WRONG"),
            itelescope.replace('"itelescope"', '"lent"', 1).replace("_PASSWORD", "_PASSWORT"),
            itelescope.replace('"itelescope"', '"other"', 1).replace(
                "SIM_ITELESCOPE_PASSWORD", "WRONG"
            ),
            f'name = "shed"\nkind = "pi"\nhost = "127.0.0.1"\nport = {free_port()}\n'
            'user_env = "WRONG"\npassword_env = "WRONG"',
            f'name = "vespera"\nkind = "vespera"\nhost = "127.0.0.1"\nport = {free_port()}',
            folder_source("attic", "attic").replace("path", "paht"),
            folder_source("cellar", "no-such-folder"),
        )
        secrets = {**observatory.environment, "WRONG": WRONG}
        ended = bench.sync(variables=secrets)
        refused = {name: r.refused for name, r in observatory.requests.items()}
        bench.write(*good, itelescope)
        again = bench.sync(variables=secrets)
        yield BadNight(bench, folder / "served", observatory, ended, refused, again)


def _fill_garden(garden: Path) -> None:
    lights = write_lights(garden, 5)
    drop(lights[-1].rename(garden / "undated.fits"), "DATE-OBS")
    noise = np.random.default_rng(3).normal(1100, 6, SHAPE).astype(np.uint16)
    cut(write(garden / "cut.fits", noise, 10), 0.6)
    drop(write(garden / "no-exposure.fits", noise, 11), "EXPTIME")
    write(garden / "black.fits", np.zeros(SHAPE, np.uint16), 12)
    write(garden / "saturated.fits", np.full(SHAPE, 65535, np.uint16), 13)


def _spoil_zips(served: Path) -> None:
    (folder,) = {path.parent for path in served.glob("T20/**/calibrated-*.zip")}
    name = "calibrated-T20-observer-NGC_7000-20261120-23000{}-Red-BIN1-W-180-00{}.fit.zip"
    (folder / name.format(7, 7)).write_bytes(b"")
    whole = zip_bytes("a.fit", b"x" * 9000)
    (folder / name.format(8, 8)).write_bytes(whole[: len(whole) // 2])
    (folder / name.format(9, 9)).write_bytes(b"PK\x05\x06" + bytes(18))
