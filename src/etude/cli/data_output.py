"""How `etude data` shows a dataset, a report of checks, and work under way."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, TextIO

from etude.cli.progress import format_duration

if TYPE_CHECKING:
    from etude.data.checks import CheckReport, Finding
    from etude.data.summary import DatasetSummary

__all__ = ["describe", "report_text", "stages"]

SHOWN_PER_CODE = 5
"""Findings of one kind that are printed; `--json` gives all."""
LINE_EVERY_S = 10.0
"""Without a terminal: a line at most this often."""


def describe(summary: DatasetSummary) -> str:
    """A dataset in a screenful."""
    lengths = summary.episode_lengths
    spread = f"{lengths['min']} to {lengths['max']} frames, median {lengths['median']:g}" if lengths else "none"
    rows = [
        ("dataset", summary.repo_id),
        ("folder", f"{summary.root} ({summary.origin})"),
        (
            "format",
            summary.version + ("" if summary.version == "v3.0" else "  (etude data convert makes it v3.0)"),
        ),
        ("robot", summary.robot_type or "unknown"),
        ("episodes", f"{summary.episodes}  ({spread})"),
        (
            "frames",
            f"{summary.frames}  at {summary.fps:g} per second, {format_duration(summary.duration_s)} in all",
        ),
        ("tasks", _some([task or "(no text)" for task in summary.tasks])),
        ("size", f"{_bytes(summary.bytes['total'])}  (videos {_bytes(summary.bytes['videos'])})"),
        ("fingerprint", summary.fingerprint[:16]),
    ]
    if summary.missing_files:
        rows.append(("missing", _some(summary.missing_files)))
    lines = [f"{name:<12} {value}" for name, value in rows]
    lines += ["", "cameras", *(_camera(camera) for camera in summary.cameras)] if summary.cameras else []
    cameras = {camera.name for camera in summary.cameras}
    width = max((len(name) for name in summary.features if name not in cameras), default=0)
    lines += ["", "features"]
    for name, feature in summary.features.items():
        if name not in cameras:
            shape = " x ".join(map(str, feature["shape"]))
            named = f"  {_some(feature['names'], 8)}" if feature.get("names") else ""
            lines.append(f"  {name:<{width}}  {feature['dtype']:<8} {shape}{named}".rstrip())
    return "\n".join(lines)


def _camera(camera: Any) -> str:
    kind = "depth, " if camera.depth else ""
    files = f", {camera.files} files, {_bytes(camera.bytes)}" if camera.files else ""
    return f"  {camera.name}  {camera.height} x {camera.width}, {kind}{camera.codec}{files}"


def report_text(report: CheckReport) -> str:
    """A report of checks: findings by code, then the verdict."""
    lines = []
    for _, group in groupby(report.findings, key=lambda finding: (finding.severity, finding.code)):
        findings = list(group)
        lines += [_finding(finding) for finding in findings[:SHOWN_PER_CODE]]
        if len(findings) > SHOWN_PER_CODE:
            lines.append(f"         and {len(findings) - SHOWN_PER_CODE} more of these (--json shows all)")
        if findings[0].fix:
            lines.append(f"         fix: {findings[0].fix}")
    tally = report.tally()
    verdict = "sound" if report.is_sound else "not fit for training"
    parts = [f"{count} {name}{'' if count == 1 or name == 'info' else 's'}" for name, count in tally.items()]
    looked = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    lines.append(f"{report.root}: {verdict} ({', '.join(parts)}); {report.level} check of {looked or 'its metadata'}")
    return "\n".join(lines)


def _finding(finding: Finding) -> str:
    return f"{finding.severity.value:<8} {finding.code}: {finding.message}"


def _some(items: list[str], shown: int = 5) -> str:
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f", and {rest} more" if rest > 0 else "")


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


@contextlib.contextmanager
def stages(stream: TextIO | None = None) -> Iterator[Callable[[str, int, int], None]]:
    """A callback `(what, done, total)`: a bar a stage on a terminal, elsewhere a line now and then."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _Lines(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as bars:
        known: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in known:
                known[what] = bars.add_task(what, total=total)
            bars.update(known[what], completed=done, total=total)

        yield show


class _Lines:
    """Plain progress: silent for what is quick."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.told_at = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.told_at >= LINE_EVERY_S:
            self.told_at = now
            print(f"{what}: {done} of {total}", file=self.stream, flush=True)
