"""The version of each step. One that is raised makes the step's products out of date.

Apart from the steps, so that reading them needs none of the steps' libraries.
"""

RAW = "1"
MASTER = "2"
BAD_PIXEL_MAP = "4"
CALIBRATED = "4"
SOLVED = "3"
STACK = "5"
COMPOSITE = "4"
FRAMES = "3"
NIGHT_REPORT = "2"
ARITHMETIC = "1"
