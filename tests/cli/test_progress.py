"""How progress looks on a terminal and in a file."""

from __future__ import annotations

import io

import pytest

from etude.cli.progress import TrainingDisplay, format_duration
from etude.runs.metrics import MetricRecord


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO, *, quiet: bool = False) -> str:
    display = TrainingDisplay(stream, quiet=quiet)
    display.preparing("decoding videos", 2, 2)
    display.started(100, 10)
    for step in range(11, 31):
        display.step(step)
    metrics = {"train/loss": 0.1234567, "train/samples_per_s": 321.4, "train/data_wait_share": 0.02}
    display.log(MetricRecord(30, 0.0, {**metrics, "train/lr": 1e-4}))
    display.log(MetricRecord(30, 0.0, {"system/cpu_percent": 20.0}))
    display.note("checkpoint [5000] saved")
    display.log(MetricRecord(30, 0.0, {"val/loss": 0.5}))
    display.finished()
    return stream.getvalue()


def test_plain_output_is_one_line_a_record() -> None:
    lines = show(io.StringIO()).splitlines()
    assert lines[0] == "decoding videos: 2/2"
    assert lines[1].startswith("step 30/100  loss 0.1235  samples/s 321  data wait 2%  eta ")
    assert lines[2] == "checkpoint [5000] saved"
    assert lines[3].startswith("step 30/100  val 0.5")
    assert len(lines) == 4
    assert "\x1b" not in "".join(lines)


def test_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    shown = show(Terminal())
    assert "30/100" in shown
    assert "loss 0.1235" in shown
    assert "val 0.5" in shown
    assert "checkpoint [5000] saved" in shown
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l")  # the cursor is back


def test_quiet_shows_notes_only() -> None:
    assert show(io.StringIO(), quiet=True) == "checkpoint [5000] saved\n"


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4s"), (61, "1m01s"), (3599.9, "1h00m"), (11_280, "3h08m")])
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
