"""FTP with explicit TLS, as iTelescope speaks it: AUTH TLS before the log-in, PROT P for data.

What does not belong here: what plain FTP does just so (`ftp`).
"""

from pathlib import Path

from OpenSSL import SSL

from astro_assets.sim.servers.certificates import Certificates
from astro_assets.sim.servers.ftp import FtpServer, make_handler
from astro_assets.sim.servers.pyftpd import DummyAuthorizer, FTPHandler, TLS_FTPHandler


class FtpsServer(FtpServer):
    """Read-only, TLS 1.2 or newer on both channels, one user.

    root : the folder that is served, as `/`
    """

    def __init__(self, root: Path, *, user: str, password: str, certificates: Certificates) -> None:
        super().__init__(root, source_path="/")
        self._user = user
        self._password = password
        self._certificates = certificates

    def _handler(self) -> type[FTPHandler]:
        authorizer = DummyAuthorizer()
        authorizer.add_user(self._user, self._password, str(self._root), perm=self._permissions)
        handler = make_handler(self, TLS_FTPHandler, authorizer)
        handler.ssl_context = self._context()
        handler.tls_control_required = True
        handler.tls_data_required = True
        return handler

    def _context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION)
        context.use_certificate_chain_file(str(self._certificates.certificate_file))
        context.use_privatekey_file(str(self._certificates.key_file))
        # Lets a client take up its control channel's session for the data channel.
        context.set_session_id(b"astro-assets")
        return context
