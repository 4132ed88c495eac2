#!/bin/sh
# Make the virtual environment at $1 with everything that demo and tests need.
# Needs nothing but Python >= 3.11 on Debian or Ubuntu; says what to do where that is missing.
set -eu
venv=$1

python=
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "setup: Python 3.11 or newer is needed; install it (Debian 12, Ubuntu 24.04: apt install python3 python3-venv)" >&2
    exit 1
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian splits ensurepip off into python3-venv.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$venv"
    if ! "$python" -m venv "$venv" 2>/dev/null; then
        echo "setup: installing python3-venv, which this system keeps in a package of its own" >&2
        as_root apt-get update -qq
        as_root apt-get install -y -qq python3-venv ||
            as_root apt-get install -y -qq "$(basename "$python")-venv"
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
fi

echo "setup: installing the dependencies into $venv (once; a minute or two)" >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv>=0.5"
"$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" --compile-bytecode \
    --constraint requirements.lock --editable '.[dev]'
"$venv/bin/python" -m compileall -q astro_assets
echo "setup: compiling the kernels (once; half a minute)" >&2
"$venv/bin/python" -m astro_assets.imaging.warm
touch "$venv/ready"
