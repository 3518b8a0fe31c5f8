#!/usr/bin/env bash
# Compiles requirements/*.txt: exact versions with hashes, for every platform, with no address and no path in them.
# Versions already in the files stay; `scripts/lock.sh --upgrade` takes the newest allowed.
set -euo pipefail
cd "$(dirname "$0")/.."

# A package folder or mirror of this machine must not decide what others install.
unset PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL UV_FIND_LINKS UV_INDEX UV_INDEX_URL UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL

uv=$(scripts/find_uv.sh "$(scripts/find_python.sh)")

compile() { # compile OUTPUT ARGUMENTS...
    local output=$1
    shift
    "$uv" pip compile --quiet --no-config --universal --python-version 3.12 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-emit-package opencv-python \
        --override requirements/overrides.in --output-file "requirements/$output" "$@"
    echo "requirements/$output: $(grep -c == "requirements/$output") packages"
}

compile all.txt pyproject.toml requirements/dev.in --all-extras "$@"
# The smaller lists take their versions from the largest, so that one machine never disagrees with another.
# A job holds the Azure libraries, too: it reads secrets and registers models with them.
compile imitation.txt pyproject.toml --extra imitation --extra tracking --extra sim --extra azure \
    --constraint requirements/all.txt
compile base.txt pyproject.toml --constraint requirements/all.txt
compile uv.txt requirements/uv.in "$@"
