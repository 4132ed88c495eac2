"""What all tests share: made-up input is the same in each run, however slow the machine."""

import signal
import threading

from hypothesis import settings

pytest_plugins = ["astro_assets_tests.faults.matrix"]

settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")

if threading.current_thread() is threading.main_thread():
    # Whoever runs the tests in the background of a script has them ignore SIGINT, and so would
    # every server and command that they start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
