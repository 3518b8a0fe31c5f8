"""Episodes as they are typed: `0-4,9`."""

from __future__ import annotations

from etude.errors import UsageError

__all__ = ["read_episodes"]


def read_episodes(text: str, flag: str = "--episodes") -> list[int]:
    """`0-4,9` as numbers.

    Raises:
        UsageError: it is no such list.
    """
    numbers: list[int] = []
    try:
        for part in text.strip("[] ").split(","):
            first, _, last = part.strip().partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError:
        raise UsageError(f"{flag}: cannot read {text!r}", hint="write numbers and ranges: 0-4,9") from None
    return numbers
