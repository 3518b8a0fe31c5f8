"""What a check found, and whether training may go on."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from etude.errors import DatasetError

__all__ = ["CheckReport", "Finding", "Severity", "assert_sound", "numbered"]


class Severity(StrEnum):
    """`error`: training would die or learn from wrong data. `warning`: worth a look. `info`: good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        code: stable name of the kind of finding (docs/data.md lists them).
        episode: the episode concerned, the first where there are several, None for the dataset as a whole.
        fix: what to do about it.
    """

    code: str
    severity: Severity
    message: str
    episode: int | None = None
    fix: str = ""


def error(code: str, message: str, *, episode: int | None = None, fix: str = "") -> Finding:
    return Finding(code, Severity.ERROR, message, episode, fix)


def warning(code: str, message: str, *, episode: int | None = None, fix: str = "") -> Finding:
    return Finding(code, Severity.WARNING, message, episode, fix)


def info(code: str, message: str, *, episode: int | None = None, fix: str = "") -> Finding:
    return Finding(code, Severity.INFO, message, episode, fix)


@dataclass
class CheckReport:
    """The result of `check_dataset`.

    Attributes:
        findings: the gravest first.
        counts: what was looked at: `episodes`, `frames`, `files`, `cameras`.
    """

    root: str
    level: str
    version: str
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def of(self, severity: Severity) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == severity]

    @property
    def is_sound(self) -> bool:
        """No errors; there may be warnings."""
        return not self.of(Severity.ERROR)

    def tally(self) -> dict[str, int]:
        """How many findings of each severity, all three named."""
        counted = Counter(finding.severity for finding in self.findings)
        return {severity.value: counted[severity] for severity in Severity}

    def to_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "tally": self.tally(), "sound": self.is_sound}


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first; within a severity in the order in which they were found."""
    rank = {severity: position for position, severity in enumerate(Severity)}
    return sorted(findings, key=lambda finding: rank[finding.severity])


def assert_sound(report: CheckReport, shown: int = 3) -> None:
    """Refuse a dataset with errors.

    Raises:
        DatasetError: there are some; the message gives the first ones, the hint how to fix and to see all.
    """
    errors = report.of(Severity.ERROR)
    if not errors:
        return
    listed = "; ".join(f"{finding.message} [{finding.code}]" for finding in errors[:shown])
    more = f"; and {len(errors) - shown} more" if len(errors) > shown else ""
    fix = f"{errors[0].fix}; " if errors[0].fix else ""
    raise DatasetError(
        f"the dataset {report.root} is broken: {listed}{more}",
        hint=f"{fix}to see everything: etude data check {report.root}",
    )


def numbered(values: Iterable[Any], shown: int = 5) -> str:
    """`3, 5, 8 and 12 more`."""
    listed = list(values)
    rest = len(listed) - shown
    return ", ".join(map(str, listed[:shown])) + (f" and {rest} more" if rest > 0 else "")
