"""`etude doctor`: what this machine has, what it lacks, and the fix of each."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence

from etude.cli.arguments import Parser
from etude.doctor import Finding, Status, examine

__all__ = ["main"]

MARKS = {Status.OK: "ok", Status.WARNING: "warning", Status.PROBLEM: "PROBLEM"}
COLOURS = {Status.OK: "32", Status.WARNING: "33", Status.PROBLEM: "31;1"}


def main(argv: Sequence[str]) -> int:
    """Print the findings; 1 when something prevents training here, else 0."""
    parser = Parser(
        prog="etude doctor",
        description="Say what this machine has and what it lacks, each with its fix.\n"
        "Exit code 1: training cannot work here. Tokens are looked for; their values are never shown.",
        examples=["etude doctor", "etude doctor --json"],
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    if parser.parse_args(argv).json:
        findings = list(examine())
        print(json.dumps({"findings": [dataclasses.asdict(item) for item in findings]}, indent=2))
    else:
        findings = _tell()
    return 1 if any(item.status is Status.PROBLEM for item in findings) else 0


def _tell() -> list[Finding]:
    """Print each finding as soon as it is known; some take seconds."""
    findings = []
    for item in examine():
        findings.append(item)
        print(f"{_marked(item.status)}  {item.name:<20}{item.found}", flush=True)
        if item.fix:
            print(f"{'':>9}{'':<20}to {'add' if item.status is Status.OK else 'fix'}: {item.fix}", flush=True)
    print(_verdict(findings))
    return findings


def _verdict(findings: list[Finding]) -> str:
    problems = [item.name for item in findings if item.status is Status.PROBLEM]
    warnings = [item.name for item in findings if item.status is Status.WARNING]
    if problems:
        return f"\nNot ready to train: {', '.join(problems)}."
    return f"\nReady to train. Worth a look: {', '.join(warnings)}." if warnings else "\nReady to train."


def _marked(status: Status) -> str:
    text = f"{MARKS[status]:<7}"
    return f"\033[{COLOURS[status]}m{text}\033[0m" if sys.stdout.isatty() else text
