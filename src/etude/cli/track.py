"""`etude track RUN`: send what a tracking server has missed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from etude.cli.arguments import Parser
from etude.errors import TrackingError

__all__ = ["main"]

TITLES = {"mlflow": "MLflow", "wandb": "Weights & Biases"}


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    parser = Parser(
        prog="etude track",
        description="Send to MLflow and Weights & Biases what they lack of a run. Nothing is sent twice.",
        examples=["etude track outputs/train/NAME", "etude track outputs/train/NAME --json"],
    )
    parser.add_argument("run", type=Path, nargs="+", metavar="RUN", help="a run folder")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds for one tracker")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = parser.parse_args(argv)
    from etude.tracking import sync

    reports = {}
    for run in arguments.run:
        found = sync(run, timeout_s=arguments.timeout, on_note=lambda line: print(line, file=sys.stderr))
        reports[str(run)] = found
        if not arguments.json:
            for report in found:
                print(f"{run}: {_sentence(report)}")
    if arguments.json:
        print(json.dumps({run: [item.to_json() for item in found] for run, found in reports.items()}, indent=2))
    if any(report.state == "failed" for found in reports.values() for report in found):
        raise TrackingError("not everything was sent; the run's files keep it", hint="run the command again later")
    return 0


def _sentence(report: object) -> str:
    from etude.tracking import SyncReport

    assert isinstance(report, SyncReport)
    title = TITLES[report.tracker]
    sent = f"{report.points_sent} points and {report.uploads_sent} uploads sent"
    if report.state == "busy":
        return f"{title}: the run is being tracked by another process, which sends it"
    if report.state == "failed":
        left = f"{report.points_left} points and {report.uploads_left} uploads left"
        return f"{title}: {sent}, {left} ({report.reason})"
    return f"{title}: {sent}, complete"
