"""`python -m etude.cli`: the same as `etude`."""

import sys

from etude.cli import main

if __name__ == "__main__":
    sys.exit(main())
