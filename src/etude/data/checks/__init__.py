"""Is a dataset sound? Findings with code, severity, episode and fix; one file a family of checks."""

from etude.data.checks.check import check_dataset
from etude.data.checks.findings import CheckReport, Finding, Severity, assert_sound

__all__ = ["CheckReport", "Finding", "Severity", "assert_sound", "check_dataset"]
