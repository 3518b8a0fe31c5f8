"""From nothing to a policy that has been watched: record, check, train, evaluate, report.

The stages are command lines of `etude` itself: what the quickstart shows is what it runs, and each can be
repeated by hand. What runs a command line is passed in.
"""

from etude.quickstart.journal import Journal, open_journal
from etude.quickstart.outcome import Outcome, read_outcome
from etude.quickstart.plan import Places, Recipe, Stage, next_commands, plan
from etude.quickstart.run import StageStoppedError, run_stages

__all__ = [
    "Journal",
    "Outcome",
    "Places",
    "Recipe",
    "Stage",
    "StageStoppedError",
    "next_commands",
    "open_journal",
    "plan",
    "read_outcome",
    "run_stages",
]
