"""Every night's frames, from the telescopes to colour pictures."""

import os

__version__ = "0.1.0"

# Frames and rows are shared among the cores here; a fit's small matrices on all of them as well
# would cost as much in waiting as the fit itself. Read by numpy's library when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
