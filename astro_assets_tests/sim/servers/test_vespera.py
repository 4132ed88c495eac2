"""A Vespera as it is simulated, asked by a client of FTP."""

import ftplib
from pathlib import Path

import pytest

from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets_tests.sim.clients import (
    ftp,
    retrieve,
)
from astro_assets_tests.sim.servers.served import SESSION, put


class TestVespera:
    def test_lists_and_hands_out_the_same_bytes(
        self, observatory: SimulatedObservatory, tree: Path
    ) -> None:
        with ftp(observatory) as client:
            names = {name for name, _ in client.mlsd(f"/user/{SESSION}")}
            assert {"img-0001.fits", "img-0002.fits"} <= names
            for name in ("img-0001.fits", "img-0002.fits"):
                served = (tree / "served/vespera/user" / SESSION / name).read_bytes()
                assert retrieve(client, f"/user/{SESSION}/{name}") == served
        assert observatory.requests["vespera"].downloads[f"{SESSION}/img-0001.fits"] == 1

    def test_old_firmware_knows_no_mlsd_and_lets_clients_delete(self, tmp_path: Path) -> None:
        file = tmp_path / "served/vespera/user/img-0001.fits"
        put(file, b"frame")
        with (
            SimulatedObservatory(tmp_path, vespera_mlsd=False, vespera_deletion=True) as running,
            ftp(running) as client,
        ):
            assert running.sources == ("vespera",)
            assert "MLS" not in client.sendcmd("FEAT")
            with pytest.raises(ftplib.error_perm, match="500"):
                list(client.mlsd("/user"))
            lines: list[str] = []
            client.retrlines("LIST /user", lines.append)
            assert lines[0].endswith("img-0001.fits")
            client.delete("/user/img-0001.fits")
        assert not file.exists()
