"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["compact_ranges", "count", "duration", "percent", "significant", "size"]


def significant(value: float | None, digits: int = 4) -> str:
    """A measured value: 0.04213, 1.2e-05, 1,234.

    >>> significant(0.042134), significant(1234.5), significant(0.0000123), significant(None)
    ('0.04213', '1,234', '1.23e-05', '–')
    """
    if value is None:
        return "–"
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "NaN")
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4 or magnitude > 8:
        return f"{value:.{max(digits - 2, 0)}e}"
    if magnitude >= digits - 1:
        return f"{value:,.0f}"
    text = f"{value:,.{digits - 1 - magnitude}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: float | None) -> str:
    """A whole number with separators: 20,000."""
    return "–" if value is None else f"{int(value):,}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share as a percentage: 0.92 is `92 %`."""
    if share is None or not math.isfinite(share):
        return "–"
    return f"{share * 100:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """`48 s`, `6 min 12 s`, `3 h 05 min`."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count_of_bytes: float) -> str:
    """`812 kB`, `4.2 MB`: decimal units, as file managers show them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count_of_bytes < 1000 or unit == "GB":
            return (
                f"{count_of_bytes:.0f} {unit}"
                if count_of_bytes >= 10 or unit == "B"
                else f"{count_of_bytes:.1f} {unit}"
            )
        count_of_bytes /= 1000
    raise AssertionError


def compact_ranges(numbers: Iterable[int]) -> str:
    """Episode numbers, shortened: `0–4, 7, 9–10`."""
    ordered = sorted(set(numbers))
    parts: list[str] = []
    start = previous = None
    for number in [*ordered, None]:
        if previous is not None and number == previous + 1:
            previous = number
            continue
        if start is not None:
            parts.append(str(start) if start == previous else f"{start}–{previous}")
        start = previous = number
    return ", ".join(parts) or "none"
