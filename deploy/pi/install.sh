#!/bin/sh
# Install the capture program on a Raspberry Pi, for the user who runs this. Run it again to update.
# usage: sh install.sh [astro_assets-….whl]     without a wheel: from the checkout this lies in
set -eu

here=$(cd "$(dirname "$0")" && pwd)
package=${1:-$here/../..}
venv=$HOME/.local/share/astro-capture/venv
config=$HOME/config.ini
units=$HOME/.config/systemd/user

say() { echo "install: $*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "Python 3.11 or newer is needed: use Raspberry Pi OS 12 (bookworm) or newer"
    exit 1
}
if ! python3 -m venv "$venv" 2>/dev/null; then
    say "installing python3-venv"
    as_root apt-get update -qq
    as_root apt-get install -y -qq python3-venv
    python3 -m venv "$venv"
fi
say "installing the program into $venv (some minutes on a small Pi)"
case $package in
*.whl) "$venv/bin/python" -m pip install --quiet --upgrade "${package}[capture]" ;;
*) "$venv/bin/python" -m pip install --quiet --upgrade "$(cd "$package" && pwd)[capture]" ;;
esac
mkdir -p "$HOME/.local/bin"
ln -sf "$venv/bin/astro-capture" "$HOME/.local/bin/astro-capture"
# Where a command that comes over SSH finds it too.
as_root ln -sf "$venv/bin/astro-capture" /usr/local/bin/astro-capture ||
    say "add $HOME/.local/bin to the PATH of commands over SSH"

if [ ! -e "$config" ]; then
    cp "$here/config.example.ini" "$config"
    say "$config is written: edit it, then: astro-capture check"
fi

# Cameras may be opened and reset by whoever is in the group plugdev.
if [ -d /etc/udev/rules.d ]; then
    as_root cp "$here/99-astro-capture.rules" /etc/udev/rules.d/
    as_root udevadm control --reload 2>/dev/null || say "the udev rules take effect after a restart"
fi

# Units of the user that go on without a log-in. Without systemd a shell watches over the night
# (`astro-capture arm` starts it), and cron over a restart of the machine.
resume="$HOME/.local/bin/astro-capture --config $config resume"
if command -v systemctl >/dev/null 2>&1 && systemctl --user show-environment >/dev/null 2>&1; then
    mkdir -p "$units"
    cp "$here"/astro-capture*.service "$here/astro-capture.timer" "$units/"
    systemctl --user daemon-reload
    systemctl --user enable --quiet astro-capture-resume.service
    as_root loginctl enable-linger "$(id -un)" || say "could not enable lingering: the night ends when you log out"
    say "to let this Pi start each night by itself: systemctl --user enable --now astro-capture.timer"
elif command -v crontab >/dev/null 2>&1; then
    { crontab -l 2>/dev/null | grep -vF "$resume" || true; echo "@reboot $resume"; } | crontab -
    say "no systemd for this user: cron goes on with an armed night after a restart"
    say "to let this Pi start each night by itself, add to crontab -e: 0 12 * * * $HOME/.local/bin/astro-capture --config $config run"
else
    say "neither systemd nor cron for this user: after a restart, run: $resume"
fi
"$venv/bin/astro-capture" --version
