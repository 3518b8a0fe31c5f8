#!/usr/bin/env bash
# Prints the path of uv: the one on PATH if it is recent enough, else a private copy in .uv/, made by pip and pinned
# by hash. Argument: the Python 3.12 that makes the copy.
set -uo pipefail
cd "$(dirname "$0")/.."

oldest=0.5 # reads requirement files as uv does today

recent() {
    local version
    version=$("$1" --version 2>/dev/null | awk '{print $2}') || return 1
    [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$oldest" "$version" | sort -V | head -1)" = "$oldest" ]
}

own=$(command -v uv) && recent "$own" && echo "$own" && exit 0
pin=$(sha256sum requirements/uv.txt | cut -d' ' -f1)
if [ "$(cat .uv/pin 2>/dev/null)" = "$pin" ] && recent .uv/bin/uv; then
    echo "$PWD/.uv/bin/uv"
    exit 0
fi

# Debian's own python3 comes without venv; a pyenv or uv Python has it.
for python in "${1:-python3.12}" python3; do
    rm -rf .uv
    if "$python" -m venv .uv >/dev/null 2>&1 &&
        .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt >&2; then
        echo "$pin" >.uv/pin
        echo "$PWD/.uv/bin/uv"
        exit 0
    fi
done
rm -rf .uv
echo "setup: the installer uv could not be installed by pip. Check the network, or install it yourself: pipx install uv." >&2
echo "       (Where python3 has no venv: sudo apt install python3-venv)" >&2
exit 1
