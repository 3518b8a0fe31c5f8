"""`python -m etude.platforms.node`: called by `bootstrap.sh`."""

from __future__ import annotations

import sys

from etude.platforms.node.running import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
