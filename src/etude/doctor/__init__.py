"""What this machine has, what it lacks, and the fix of each. Needs the standard library only."""

from etude.doctor.examine import examine
from etude.doctor.finding import Finding, Status

__all__ = ["Finding", "Status", "examine"]
