#!/usr/bin/env bash
# Looks for the system libraries behind video decoding and rendering. Root on Debian or Ubuntu: installs them.
# Anybody else is told the line to type, and goes on: without them PyAV decodes and nothing is rendered.
set -uo pipefail

has() { ldconfig -p 2>/dev/null | grep -q "$1"; }

packages=()
has 'libavcodec\.so' || packages+=(ffmpeg)       # torchcodec decodes with its shared libraries
has 'libEGL\.so\.1' || packages+=(libegl1)       # rendering without a screen, on a GPU or in software
has 'libOSMesa\.so' || packages+=(libosmesa6)    # rendering in software where EGL does not work
has 'libGL\.so\.1' || packages+=(libgl1)         # what both draw with
[ ${#packages[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && [ "${ETUDE_APT:-yes}" = yes ]; then
    echo "setup: installing ${packages[*]} with apt-get (ETUDE_APT=no leaves the system alone)"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    if { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } >"$log" 2>&1 </dev/null; then
        rm -f "$log"
        exit 0
    fi
    tail -3 "$log" >&2
    rm -f "$log"
fi
echo "setup: missing for fast video decoding and rendering: ${packages[*]}. Everything else works. To install:"
echo "    sudo apt install ${packages[*]}"
exit 0
