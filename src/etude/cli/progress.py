"""How a training run looks while it goes: a bar on a terminal, one plain line a log point elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from etude.runs.metrics import MetricRecord

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["TrainingDisplay", "format_duration"]

REDRAW_S = 0.1
PREPARING_S = 2.0  # between two lines of preparation
SHOWN = {  # metric, label, how to write it
    "train/loss": ("loss", "{:.4g}"),
    "val/loss": ("val", "{:.4g}"),
    "eval/success_rate": ("success", "{:.0%}"),
    "train/samples_per_s": ("samples/s", "{:.0f}"),
    "train/data_wait_share": ("data wait", "{:.0%}"),
    "train/device_busy_share": ("busy", "{:.0%}"),
}


class TrainingDisplay:
    """Shows a run's progress.

    Args:
        stream: where to write; its being a terminal decides between a bar and lines.
        quiet: show nothing but notes.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._bar: Progress | None = None
        self._task: Any = None
        self._total = self._first = self._step = 0
        self._began = self._drawn = 0.0
        self._prepared = time.monotonic()
        self._latest: dict[str, float] = {}

    def preparing(self, what: str, done: int, total: int) -> None:
        """`done` of `total` parts of what must happen before the first step, such as decoding videos."""
        now = time.monotonic()
        if self._quiet or not (done >= total or now - self._prepared >= PREPARING_S):
            return
        self._prepared = now
        self._write(f"{what}: {done}/{total}")

    def started(self, total_steps: int, start_step: int = 0) -> None:
        """The run begins, or goes on from `start_step`."""
        self._total, self._first, self._step = total_steps, start_step, start_step
        self._began = self._drawn = time.monotonic()
        if not self._quiet and self._stream.isatty():
            self._bar = _make_bar(self._stream)
            self._task = self._bar.add_task("train", total=total_steps, completed=start_step, values="")
            self._bar.start()

    def step(self, step: int) -> None:
        """An optimizer update is done. Cheap enough for every step."""
        self._step = step
        if self._bar is None:
            return
        now = time.monotonic()
        if now - self._drawn >= REDRAW_S:
            self._drawn = now
            self._bar.update(self._task, completed=step)

    def log(self, record: MetricRecord) -> None:
        """New values: the bar shows the latest of each, plain output one line a record."""
        shown = {name: value for name, value in record.metrics.items() if name in SHOWN}
        self._step = max(self._step, record.step)
        self._latest.update(shown)
        if self._quiet or not shown:
            return
        if self._bar is not None:
            self._bar.update(self._task, completed=self._step, values=_values(self._latest))
        else:
            self._write(f"step {record.step}/{self._total}  {_values(shown)}  {self._eta()}".rstrip())

    def note(self, line: str) -> None:
        """Tell of an event; on a terminal it scrolls past above the bar."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            self._write(line)

    def finished(self) -> None:
        """The run is over, well or not; the terminal is as it was."""
        if self._bar is not None:
            self._bar.update(self._task, completed=self._step, values=_values(self._latest))
            self._bar.stop()
            self._bar = None

    def _eta(self) -> str:
        done = self._step - self._first
        if done <= 0 or self._step >= self._total:
            return ""
        return "eta " + format_duration((time.monotonic() - self._began) / done * (self._total - self._step))

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def format_duration(seconds: float) -> str:
    """Seconds as `47s`, `12m05s` or `3h08m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _values(metrics: Mapping[str, float]) -> str:
    rows = ((label, form, metrics[name]) for name, (label, form) in SHOWN.items() if name in metrics)
    return "  ".join(f"{label} {form.format(value)}" for label, form, value in rows)


def _make_bar(stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[values]}"),
        TextColumn("eta"),
        TimeRemainingColumn(compact=True),
        console=Console(file=stream),
        speed_estimate_period=120,
    )
