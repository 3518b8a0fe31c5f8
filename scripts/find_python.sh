#!/usr/bin/env bash
# Prints the path of a Python 3.12, or says how to get one and fails.
# Tried in order: $ETUDE_PYTHON, PATH, pyenv, what uv installed, what uv can find.
set -uo pipefail

# The path of the interpreter itself when `$1` runs and is 3.12 (a pyenv shim may exist and refuse to run).
real_path() {
    "$1" -c 'import sys; sys.version_info[:2] == (3, 12) or sys.exit(1); print(sys.executable)' 2>/dev/null
}

if [ -n "${ETUDE_PYTHON:-}" ]; then
    real_path "$ETUDE_PYTHON" && exit 0
    echo "setup: ETUDE_PYTHON=$ETUDE_PYTHON is not a Python 3.12 that runs" >&2
    exit 1
fi

pyenv_versions="${PYENV_ROOT:-$HOME/.pyenv}/versions"
uv_versions="${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/uv/python}"
for candidate in python3.12 python3 \
    "$pyenv_versions"/3.12*/bin/python3.12 \
    "$uv_versions"/cpython-3.12*/bin/python3.12 \
    "$(command -v uv >/dev/null && uv python find --no-config --no-python-downloads 3.12 2>/dev/null)"; do
    [ -n "$candidate" ] && real_path "$candidate" && exit 0
done

cat >&2 <<'MESSAGE'
setup: no Python 3.12 here (LeRobot needs 3.12 or later, Isaac Lab an earlier one than 3.13). Any of these brings it:
    uv python install 3.12                            uv itself: pip install uv, or pipx install uv
    pyenv install 3.12
    sudo apt install python3.12 python3.12-venv       Ubuntu 24.04; Debian 12 does not package it
Looked at python3.12 and python3 on PATH, and in the folders of pyenv and uv. To name another one:
    make setup ETUDE_PYTHON=/path/to/python3.12
MESSAGE
exit 1
