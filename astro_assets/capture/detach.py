"""Starting the night so that it goes on when whoever started it has gone.

What belongs here: systemd's transient units, and the way without systemd: a shell that does nothing
but begin the watcher again when that was killed.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from astro_assets.capture.supervise import STOPPED

_LIMIT_S = 10.0
_AGAIN = """
while :; do
    "$@" && exit 0
    status=$?
    [ $status -eq {stopped} ] && exit 0
    echo "the watcher ended (status $status); it begins again"
    # Killed: at once. A fault that it could tell of: not every two seconds all night.
    if [ $status -gt 128 ]; then sleep 2; else sleep 30; fi
done
"""


def start_detached(words: list[str], unit: str, log_file: Path) -> str:
    """Start ``astro-capture WORDS`` for good.

    Returns
    -------
    str : ``systemd`` or ``process``, by what it was started
    """
    command = [sys.executable, "-m", "astro_assets.capture", *words]
    if _user_systemd():
        started = subprocess.run(
            [
                "systemd-run", "--user", f"--unit={unit}", "--collect", "--quiet",
                "--property=Restart=on-failure", "--property=RestartSec=2",
                f"--property=SuccessExitStatus={STOPPED}",
                "--property=StartLimitIntervalSec=0", "--property=Type=notify",
                "--property=NotifyAccess=all", "--property=WatchdogSec=300", *command,
            ],
            check=False, capture_output=True, timeout=_LIMIT_S,
        )  # fmt: skip
        if started.returncode == 0:
            return "systemd"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        subprocess.Popen(
            ["/bin/sh", "-c", _AGAIN.format(stopped=STOPPED), "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return "process"


def _user_systemd() -> bool:
    if shutil.which("systemd-run") is None or shutil.which("systemctl") is None:
        return False
    state = subprocess.run(
        ["systemctl", "--user", "is-system-running"],
        check=False,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )
    return state.stdout.strip() in ("running", "degraded", "starting")
