"""`etude report RUN...`: one HTML page about runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from etude.cli.arguments import Parser
from etude.errors import UsageError

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Write the page and say where it is."""
    arguments = _parser().parse_args(argv)
    from etude.report import write_report
    from etude.report.numbers import size

    written = write_report(arguments.runs, arguments.output, media_budget=int(arguments.media_mb * 1_000_000))
    if arguments.json:
        print(
            json.dumps(
                {
                    "path": str(written.path),
                    "bytes": written.size,
                    "left_out": written.left_out,
                    "problems": written.problems,
                }
            )
        )
    else:
        for problem in written.problems:
            print(f"note: {problem}")
        if written.left_out:
            print(f"note: not included: {', '.join(written.left_out)} (raise --media-mb for larger pages)")
        print(f"written: {written.path} ({size(written.size)})")
    if arguments.open:
        import webbrowser

        webbrowser.open(written.path.resolve().as_uri())
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="etude report",
        description="Write one self-contained HTML page about one run, or several side by side.",
        examples=[
            "etude report outputs/train/NAME --open",
            "etude report outputs/train/FIRST outputs/train/SECOND --output comparison.html",
        ],
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "--output",
        "-o",
        type=Path,
        metavar="FILE",
        help="the page (default: report.html in the run folder, or beside several)",
    )
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument(
        "--media-mb",
        type=_megabytes,
        default=40.0,
        metavar="MB",
        help="most megabytes of videos and plots to include (default: 40)",
    )
    parser.add_argument("--json", action="store_true", help="print path, size and notes as JSON")
    return parser


def _megabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise UsageError(f"--media-mb: {text!r} is not a number of megabytes", hint="--media-mb 40")
    return value
