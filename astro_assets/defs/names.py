"""How jobs, partitions and tags are called: one place, so that all agree."""

from astro_assets.frame import FrameKind

TARGETS = "targets"
NIGHTS = "nights"
COMPOSITE_JOB = "compose"
MORNING_JOB = "morning"
CAPTURE_JOB = "nightly_capture"
CAPTURE_ASSET = "capture"

REQUEST_TAG = "astro_assets/request"
FAILURE_TAG = "astro_assets/failure"
LOOK_AT = "look_at"
REMARKS = "remarks"
"""metadata: a sentence for each file that was set aside, or that is used but wants mending"""
TARGET_TAG = "astro_assets/target"
PRIORITY_TAG = "dagster/priority"
EXCLUSIVE_TAG = "astro_assets/exclusive"
PROCESS_TAG = "astro_assets/process"


def sessions(source: str) -> str:
    """Partitions of a source's sessions."""
    return f"{source}_sessions"


def calibration_sets(source: str) -> str:
    """Partitions of a source's calibration sets of all kinds."""
    return f"{source}_calibration_sets"


def master_sets(source: str, kind: FrameKind) -> str:
    """Partitions of a source's calibration sets of one kind."""
    return f"{source}_{kind}_sets"


def cameras(source: str) -> str:
    """Partitions of a source's camera configurations."""
    return f"{source}_cameras"


def session_job(source: str) -> str:
    """The job that takes a session from the server to its stack."""
    return f"{source}_session"


def raw_calibrations_job(source: str) -> str:
    """The job that fetches a calibration set."""
    return f"{source}_raw_calibrations"


def master_job(source: str, kind: FrameKind) -> str:
    """The job that combines a calibration set of one kind."""
    return f"{source}_master_{kind}"


def bad_pixel_map_job(source: str) -> str:
    """The job that maps a camera's bad pixels."""
    return f"{source}_bad_pixel_map"


def requests_job(source: str) -> str:
    """The job, and the schedule, that asks a source for observations."""
    return f"{source}_requests"
