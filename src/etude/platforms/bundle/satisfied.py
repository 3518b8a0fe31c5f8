"""Exit code 0 when the Python that runs this holds every library of a list, in exactly that version.

    python satisfied.py requirements.txt

Runs before anything is installed, in whatever Python an image brings: the standard library only. Lines with a marker
(`; sys_platform == "win32"`) are left out; what they bring comes along with the others.
"""

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

__all__ = ["missing"]


def missing(requirements: str) -> Iterator[str]:
    """Lines of the list that do not hold here."""
    for line in requirements.splitlines():
        match = re.match(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(;.*)?\\?\s*$", line)
        if not match or match.group(3):
            continue
        name, version = match.group(1), match.group(2)
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "none"
        # A build for a certain GPU is 2.11.0+cu128, where the list says 2.11.0.
        if found.partition("+")[0] != version.partition("+")[0]:
            yield f"{name}: {version} is wanted, {found} is here"


if __name__ == "__main__":
    wrong = list(missing(Path(sys.argv[1]).read_text()))
    for line in wrong[:5]:
        sys.stderr.write(f"{line}\n")
    if len(wrong) > 5:
        sys.stderr.write(f"and {len(wrong) - 5} more\n")
    sys.exit(1 if wrong else 0)
