"""pyftpdlib, imported quietly, for `ftp` and `ftps`. Nothing else belongs here."""

import logging
import warnings

with warnings.catch_warnings():
    # It imports asyncore, which Python 3.11 announces the end of; from 3.12 on it brings its own.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

# With a handler of any kind it leaves the program's own logging alone.
logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())

__all__ = ["DummyAuthorizer", "FTPHandler", "FTPServer", "IOLoop", "TLS_FTPHandler"]
