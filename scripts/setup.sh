#!/usr/bin/env bash
# Prepares .venv: Python 3.12, every library pinned by version and hash, and etude itself from this folder.
# Does nothing when that is done already and neither requirements nor pyproject.toml changed.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/etude-setup
wanted=$(cat requirements/all.txt pyproject.toml | sha256sum | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted $PWD" ] && [ -x .venv/bin/etude ]; then
    exit 0
fi

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

free_gib() { # whole GiB free where folder $1 is, or will be
    local folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    df -Pk "$folder" | awk 'NR == 2 {print int($4 / 1048576)}'
}

need_gib() { # need_gib GIB FOLDER WHAT
    local free
    free=$(free_gib "$2")
    [ "$free" -ge "$1" ] || fail "not enough disk space for $3: $1 GiB needed, $free GiB free in $2" "$4"
}

python=$(scripts/find_python.sh) # says itself what is missing

if [ -d .venv ] && ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null; then
    fail ".venv exists and is not a working Python 3.12 environment" "remove it (rm -r .venv) and call make setup again"
fi
if [ ! -d .venv/lib/python3.12/site-packages/torch ]; then
    # uv keeps what it downloads and links it into .venv: one copy where both are on one disk, else two.
    cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}
    need_gib 8 "$PWD" "the libraries" "free some, or put the clone on a larger disk"
    need_gib 8 "$cache" "the downloads" "free some, or choose another folder: UV_CACHE_DIR=DIR make setup"
fi

scripts/system_libraries.sh

# A site behind a proxy adds its certificate to the system's list and sets its mirror for pip: both hold for uv too.
system_certificates=/etc/ssl/certs/ca-certificates.crt
if [ -s "$system_certificates" ]; then
    export PIP_CERT="${PIP_CERT:-$system_certificates}"
    export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
fi
mirror=$(python3 -m pip config get global.index-url 2>/dev/null || true)
index=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-${PIP_INDEX_URL:-$mirror}}}
[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}"

uv=$(scripts/find_uv.sh "$python")

rm -f "$stamp"
[ -d .venv ] || "$uv" venv --quiet --no-config --python "$python" .venv
echo "setup: installing $(grep -c == requirements/all.txt) libraries into .venv (about 6 GiB the first time)"
"$uv" pip sync --no-config --python .venv/bin/python --require-hashes --quiet requirements/all.txt ||
    fail "the libraries could not be installed; what was downloaded is kept, so calling make setup again continues"
"$uv" pip install --no-config --python .venv/bin/python --quiet --no-deps --no-build-isolation --editable .
echo "$wanted $PWD" >"$stamp"
echo "setup: ready. etude is .venv/bin/etude; to type just etude: source .venv/bin/activate"
