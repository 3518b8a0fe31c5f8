#!/bin/sh
# The first thing that runs where a job was sent: finds or makes a Python 3.12 with the bundle's requirements, then
# hands over to `etude.platforms.node`, which prepares inputs, runs the command and keeps its outputs.
#
#     sh bootstrap.sh --input NAME=FOLDER --output NAME=FOLDER
#
# Needs nothing but a POSIX shell. ETUDE_PYTHON names an interpreter to use; ETUDE_ENVIRONMENTS a folder that keeps
# the environments made here, by the digest of their requirements (default: ~/.cache/etude/environments).
set -u

here=$(cd "$(dirname "$0")" && pwd)
say() { printf 'bootstrap: %s\n' "$*" >&2; }

# The interpreter itself when $1 runs and is 3.12 (a pyenv shim may exist and refuse to run).
is_right() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.version_info[:2] == (3, 12) or sys.exit(1); print(sys.executable)' 2>/dev/null
}

find_python() {
    if [ -n "${ETUDE_PYTHON:-}" ]; then
        is_right "$ETUDE_PYTHON" && return
        say "ETUDE_PYTHON=$ETUDE_PYTHON is not a Python 3.12 that runs; looking for another"
    fi
    for candidate in python3.12 python3 python /opt/conda/bin/python /usr/local/bin/python3.12 \
        "${PYENV_ROOT:-${HOME:-/root}/.pyenv}"/versions/3.12*/bin/python3.12 \
        "${HOME:-/root}"/.local/share/uv/python/cpython-3.12*/bin/python3.12; do
        is_right "$candidate" && return
    done
    return 1
}

find_uv() {
    command -v uv 2>/dev/null && return
    [ -x "$environments/uv/bin/uv" ] && echo "$environments/uv/bin/uv" && return
    # uv is a wheel: any Python with pip brings it, whatever its version.
    for python in "$@" python3 python; do
        command -v "$python" >/dev/null 2>&1 || continue
        "$python" -m pip install --quiet --disable-pip-version-check --target "$environments/uv" uv >&2 || continue
        echo "$environments/uv/bin/uv"
        return
    done
    return 1
}

fail() {
    for line in "$@"; do say "$line"; done
    exit 78 # EX_CONFIG of sysexits.h: the place is not fit, the command never ran
}

make_environment() {
    # Made under another name and renamed when it is complete: a job that was stopped half-way leaves no half environment.
    target=$1
    scratch="$environments/.tmp-$$"
    rm -rf "$scratch"
    if uv=$(find_uv ${python:+"$python"}); then
        "$uv" venv --quiet --python "${python:-3.12}" "$scratch" &&
            "$uv" pip sync --quiet --python "$scratch/bin/python" --require-hashes "$here/requirements.txt" || return 1
    else
        [ -n "$python" ] || fail "no Python 3.12 here, and none could be got: uv is not here and pip could not bring it" \
            "use an image with Python 3.12, or one with pip and a network"
        "$python" -m venv "$scratch" &&
            "$scratch/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
                -r "$here/requirements.txt" || return 1
    fi
    mv "$scratch" "$target" 2>/dev/null || { [ -x "$target/bin/python" ] && rm -rf "$scratch"; }
}

python=$(find_python) || python=
if [ -n "$python" ] && reason=$("$python" "$here/satisfied.py" "$here/requirements.txt" 2>&1); then
    say "using $python: it has all requirements"
else
    environments=${ETUDE_ENVIRONMENTS:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/etude/environments}
    digest=$(sha256sum "$here/requirements.txt" | cut -c1-16)
    if [ ! -x "$environments/$digest/bin/python" ]; then
        [ -z "$python" ] || say "$python lacks requirements: $(printf '%s' "$reason" | head -1)"
        say "installing $(grep -c == "$here/requirements.txt") libraries into $environments/$digest"
        mkdir -p "$environments" || fail "$environments cannot be written; set ETUDE_ENVIRONMENTS to another folder"
        make_environment "$environments/$digest" ||
            fail "the requirements could not be installed; see above. An image that holds them needs no installation"
    fi
    python="$environments/$digest/bin/python"
fi

# The bundle's own version of etude comes first, whatever the environment holds.
code=$(mktemp -d "${TMPDIR:-/tmp}/etude-code-XXXXXX") || fail "no temporary folder can be made"
"$python" -m zipfile -e "$here"/etude-*.whl "$code" || fail "the wheel in the bundle cannot be unpacked"
PYTHONPATH="$code${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -u -m etude.platforms.node --bundle "$here" --code "$code" "$@"
