"""How jobs are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from etude.cli.pasteable import command_line
from etude.cli.progress import format_duration
from etude.platforms.ledger import Entry
from etude.platforms.states import JobState, JobStatus

__all__ = ["status_text", "table"]


def table(rows: Sequence[tuple[Entry, JobStatus | None, str]]) -> str:
    """One line a job."""
    head = ("job", "platform", "sent", "state", "")
    lines = [head, *(_line(*row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )


def status_text(now: JobStatus, entry: Entry | None, outputs: Sequence[str]) -> str:
    """A few lines, and what to do next."""
    lines = [f"job         {now.handle}"]
    if entry is not None:
        lines.append(f"command     {command_line(list(entry.command)[1:])}")
    said = f" ({now.said})" if now.said and now.said.lower() != now.state.value else ""
    lines.append(f"state       {now.state}{said}" + (f", attempt {now.attempt}" if now.attempt > 1 else ""))
    if now.reason:
        lines.append(f"reason      {now.reason}")
    if now.exit_code:
        lines.append(f"exit code   {now.exit_code}")
    if now.started is not None:
        lines.append(f"started     {_time(now.started)}")
    if now.started is not None and now.ended is not None:
        lines.append(f"took        {format_duration(now.ended - now.started)}")
    if outputs:
        lines.append(f"outputs     {', '.join(outputs)}")
    if now.url:
        lines.append(f"page        {now.url}")
    name = entry.name if entry is not None else now.handle
    lines.append("next")
    verb = ["logs", name] if now.state is not JobState.SUCCEEDED else ["download", name]
    if not now.state.is_final:
        verb.append("--follow")
    lines.append(f"  {command_line(['jobs', *verb])}")
    return "\n".join(lines)


def _line(entry: Entry, now: JobStatus | None, why: str) -> tuple[str, ...]:
    state = now.state.value if now is not None else "sent" if entry.is_sent and not why else "?"
    return entry.name, entry.platform, _time(entry.created), state, (now.reason if now is not None else why)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
