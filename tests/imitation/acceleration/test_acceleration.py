"""Accelerations: measured without a trace, used as asked, undone afterwards, and kept by a resumed run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from etude.config.options import TrainOptions
from etude.imitation import trainer
from etude.imitation.acceleration import rehearsal, tuning
from etude.imitation.acceleration.applying import matmul_is_exact
from etude.imitation.acceleration.settings import Acceleration, candidates
from tests.imitation.conftest import run, weights

PLAIN = ["--compile=off", "--channels_last=off", "--fused_optimizer=off", "--fast_matmul=off"]
FASTER = ["--compile=off", "--channels_last=on", "--fused_optimizer=on", "--fast_matmul=on"]


def losses(shown: Any) -> list[float]:
    return [value for _, value in shown.curve("train/loss")]


@pytest.fixture
def measures_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short runs are measured, too, whatever it costs."""
    monkeypatch.setattr(trainer, "TUNE_AT", 3)
    monkeypatch.setattr(tuning, "FEWEST_STEPS", 1)
    monkeypatch.setattr(tuning, "SHARE_OF_THE_RUN", 1e9)


@pytest.mark.usefixtures("measures_always")
def test_measuring_leaves_no_trace(flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    common = [*flags, "--steps=12", "--log_freq=1", "--eval_steps=6", "--lr_schedule=cosine", "--compile=off"]
    _, plain = run([*common, *PLAIN, f"--output_dir={tmp_path / 'plain'}"])
    monkeypatch.setattr(tuning, "WORTH_IT", 1e9)  # everything is tried, and nothing is accepted
    _, tried = run([*common, "--precision=auto", f"--output_dir={tmp_path / 'tried'}"])
    assert losses(tried) == losses(plain)
    assert weights(tmp_path / "tried") == weights(tmp_path / "plain")
    note = next(note for note in tried.notes if note.startswith("measured on this machine"))
    assert "fused optimizer" in note
    assert "channels-last" in note
    assert note.count("not used") >= 2


def test_a_short_run_is_not_measured(flags: list[str], tmp_path: Path) -> None:
    _, shown = run([*flags, "--steps=4", f"--output_dir={tmp_path / 'run'}"])
    assert not any("measured" in note for note in shown.notes)


def test_what_is_insisted_on_changes_rounding_only(flags: list[str], tmp_path: Path) -> None:
    common = [*flags, "--steps=10", "--log_freq=1"]
    _, plain = run([*common, *PLAIN, f"--output_dir={tmp_path / 'plain'}"])
    _, faster = run([*common, *FASTER, f"--output_dir={tmp_path / 'faster'}"])
    assert losses(faster) == pytest.approx(losses(plain), rel=1e-4)
    manifest = json.loads((tmp_path / "faster" / "run.json").read_text())
    found = manifest["machine"]["acceleration"]
    assert found["fused_optimizer"]
    assert found["channels_last"]
    assert found["bf16"] == found["compile"] == "off"
    assert torch.backends.mkldnn.matmul.fp32_precision == "none"  # type: ignore[attr-defined]


def test_bfloat16_trains(flags: list[str], tmp_path: Path) -> None:
    _, shown = run([*flags, "--steps=60", "--precision=bf16", "--log_freq=10", f"--output_dir={tmp_path / 'run'}"])
    assert losses(shown)[-1] < 0.8 * losses(shown)[0]


@pytest.mark.usefixtures("measures_always")
def test_a_resumed_run_goes_on_with_what_was_measured(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "WORTH_IT", 0.0)  # everything that works is accepted
    common = [*flags, "--compile=off", "--precision=auto", "--log_freq=1", "--save_freq=6"]
    run([*common, "--steps=12", f"--output_dir={tmp_path / 'whole'}"])
    _, first = run([*common, "--steps=6", f"--output_dir={tmp_path / 'cut'}"])
    monkeypatch.setattr(tuning, "candidates", lambda *_: pytest.fail("a resumed run measures nothing"))
    _, second = run(["--resume", str(tmp_path / "cut"), "--steps=12"])
    assert any("measured" in note for note in first.notes)
    assert not any("measured" in note for note in second.notes)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_what_cannot_be_compiled_runs_as_it_is(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no compiler here\nand a long story")

    monkeypatch.setattr(torch.nn.Module, "compile", broken)
    common = [*flags, "--steps=4", "--log_freq=1", *PLAIN[1:]]
    _, shown = run([*common, "--compile=on", f"--output_dir={tmp_path / 'asked'}"])
    _, plain = run([*common, "--compile=off", f"--output_dir={tmp_path / 'plain'}"])
    assert [note for note in shown.notes if "torch.compile" in note] == [
        "torch.compile does not work here and is left out: RuntimeError: no compiler here"
    ]
    assert losses(shown) == losses(plain)


@pytest.mark.slow
def test_compiled_losses_are_those_of_the_plain_policy(flags: list[str], tmp_path: Path) -> None:
    common = [*flags, "--steps=8", "--log_freq=1", "--eval_steps=4", *PLAIN[1:]]
    _, plain = run([*common, "--compile=off", f"--output_dir={tmp_path / 'plain'}"])
    _, compiled = run([*common, "--compile=on", f"--output_dir={tmp_path / 'compiled'}"])
    assert not any("left out" in note for note in compiled.notes)
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-4)


def test_deterministic_runs_go_by_no_clock(flags: list[str], tmp_path: Path, measures_always: None) -> None:
    _, shown = run([*flags, "--steps=4", "--deterministic=true", f"--output_dir={tmp_path / 'run'}"])
    assert not any("measured" in note for note in shown.notes)


def test_asking_leaves_the_switch_as_it_was() -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    matmul_is_exact()
    assert torch.backends.mkldnn.matmul.fp32_precision == before  # type: ignore[attr-defined]


def test_candidates_of_a_device() -> None:
    options = TrainOptions(precision="auto")
    on_cpu = [candidate.title for candidate in candidates(options, "cpu", True)]
    on_cuda = [candidate.title for candidate in candidates(options, "cuda", True)]
    assert "matrix products by oneDNN" in on_cpu
    assert not {"torch.compile", "CUDA graphs"} & set(on_cpu)
    assert "matrix products by oneDNN" not in on_cuda
    assert on_cuda[-2:] == ["torch.compile", "CUDA graphs"]
    assert not any("bfloat16" in title for title in (c.title for c in candidates(TrainOptions(), "cuda", True)))
    assert not list(candidates(TrainOptions(compile="off", channels_last="off", fused_optimizer="off"), "mps", False))


def test_choices_survive_a_checkpoint() -> None:
    choice = Acceleration(fused_optimizer=True, bf16="matmul", compile="graphs")
    assert Acceleration.from_dict({**choice.to_dict(), "device": "cuda", "unknown": 1}) == choice


def test_a_comparison_takes_the_steps_that_it_says() -> None:
    assert rehearsal.Rehearsal.STEPS_TO_COMPARE == 1 + 2 * rehearsal.TURNS * (1 + rehearsal.TIMED_STEPS)
