"""iTelescope as it is simulated, asked by a client of FTP with TLS."""

import ftplib
import ssl
from pathlib import Path

import pytest

from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets_tests.sim.clients import (
    ftps,
    login,
    retrieve,
    trusting,
)
from astro_assets_tests.sim.servers.served import ZIPPED


class TestItelescope:
    def test_lists_and_hands_out_the_same_bytes(
        self, observatory: SimulatedObservatory, tree: Path
    ) -> None:
        served = (tree / "served/itelescope" / f"{ZIPPED}.fit.zip").read_bytes()
        with ftps(observatory) as client:
            assert client.sock.version() in {"TLSv1.2", "TLSv1.3"}
            names = {name for name, _ in client.mlsd("/")}
            assert {"T20", "CALIBRATION FILES"} <= names
            lines: list[str] = []
            client.retrlines("LIST T20", lines.append)
            assert lines[0].endswith(" NGC 7000")
            client.voidcmd("TYPE I")
            assert client.size(f"{ZIPPED}.fit.zip") == len(served)
            assert retrieve(client, f"{ZIPPED}.fit.zip") == served
            assert retrieve(client, f"{ZIPPED}.fit.zip", rest=1000) == served[1000:]
        assert observatory.requests["itelescope"].downloads[f"{ZIPPED}.fit.zip"] == 2

    def test_takes_up_the_tls_session_again(self, observatory: SimulatedObservatory) -> None:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = trusting(observatory)
            context.maximum_version = version
            with ftplib.FTP_TLS(context=context, timeout=5) as client:
                client.connect("localhost", observatory.ports["itelescope"])
                client.login(*login(observatory, "itelescope"))
                client.prot_p()
                plain = ftplib.FTP.ntransfercmd(client, "MLSD /")[0]
                data = context.wrap_socket(
                    plain, server_hostname="localhost", session=client.sock.session
                )
                assert data.session_reused
                while data.recv(1000):
                    pass
                data.unwrap()
                data.close()
                client.voidresp()

    def test_refuses_plain_ftp(self, observatory: SimulatedObservatory) -> None:
        with ftplib.FTP(timeout=5) as client:
            client.connect("localhost", observatory.ports["itelescope"])
            with pytest.raises(ftplib.error_perm, match="SSL/TLS required"):
                client.login(*login(observatory, "itelescope"))

    def test_refuses_clear_data(self, observatory: SimulatedObservatory) -> None:
        with ftps(observatory) as client:
            client.prot_c()
            with pytest.raises(ftplib.error_perm, match="SSL/TLS required"):
                retrieve(client, f"{ZIPPED}.fit.zip")

    def test_refuses_a_wrong_password(self, observatory: SimulatedObservatory) -> None:
        before = observatory.requests["itelescope"].refused
        with ftplib.FTP_TLS(context=trusting(observatory), timeout=5) as client:
            client.connect("localhost", observatory.ports["itelescope"])
            with pytest.raises(ftplib.error_perm, match="530"):
                client.login("observer", "wrong")
        assert observatory.requests["itelescope"].refused == before + 1

    def test_refuses_tls_1_1(self, observatory: SimulatedObservatory) -> None:
        context = trusting(observatory)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with ftplib.FTP_TLS(context=context, timeout=5) as client:
            client.connect("localhost", observatory.ports["itelescope"])
            with pytest.raises((ssl.SSLError, ConnectionError)):
                client.auth()

    def test_is_read_only(self, observatory: SimulatedObservatory) -> None:
        with ftps(observatory) as client, pytest.raises(ftplib.error_perm, match="550"):
            client.delete(f"{ZIPPED}.fit.zip")

    def test_a_client_without_the_authority_goes_away(
        self, observatory: SimulatedObservatory
    ) -> None:
        context = ssl.create_default_context()
        with ftplib.FTP_TLS(context=context, timeout=5) as client:
            client.connect("localhost", observatory.ports["itelescope"])
            with pytest.raises(ssl.SSLCertVerificationError):
                client.auth()
