"""The measured warm-up: which accelerations pay on this machine, for this policy, at this batch size."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from etude.config.options import TrainOptions
from etude.imitation.acceleration.applying import apply, matmul_is_exact
from etude.imitation.acceleration.rehearsal import Rehearsal
from etude.imitation.acceleration.settings import Acceleration, Candidate, candidates
from etude.imitation.learner import Learner, Part
from etude.imitation.processes import Processes

__all__ = ["Verdict", "insist", "tune"]

FEWEST_STEPS = 400  # what is left of a shorter run is not worth measuring
SHARE_OF_THE_RUN = 0.05  # most of a run's time that measuring may take
WORTH_IT = 1.03  # a smaller gain may be noise


@dataclass
class Verdict:
    """What was chosen, and sentences for the user: each acceleration with what it gained."""

    acceleration: Acceleration
    notes: list[str] = field(default_factory=list)


def insist(
    learner: Learner,
    parts: Callable[[], Sequence[Part]],
    options: TrainOptions,
    processes: Processes,
    *,
    batch_size: int,
) -> Verdict:
    """Use what the user insists on, from the first step on; what does not work here is left out.

    Args: as of `tune`.
    """
    insisted = [candidate for candidate in _possible(options, learner) if candidate.insisted]
    verdict = Verdict(Acceleration())
    if insisted:
        with Rehearsal(learner, parts(), processes, batch_size) as rehearsal:
            for candidate in insisted:
                wanted = candidate.applied_to(verdict.acceleration)
                failure = rehearsal.fails(wanted)
                if failure is None:
                    verdict.acceleration = wanted
                else:
                    verdict.notes.append(f"{candidate.title} does not work here and is left out: {failure}")
        apply(verdict.acceleration, learner, batch_size)
    return verdict


def tune(
    learner: Learner,
    parts: Callable[[], Sequence[Part]],
    options: TrainOptions,
    processes: Processes,
    *,
    insisted: Acceleration,
    steps_left: int,
    batch_size: int,
) -> Verdict:
    """Choose and apply accelerations; nothing else is changed.

    Each is measured on a real batch, on top of those accepted before it, with and without taking turns. Weights,
    optimizer and random states are put back.

    Args:
        parts: makes this process's shares of a batch.
        insisted: what is in use already.
        steps_left: updates the run will make; measuring takes at most a twentieth of their time.
        batch_size: samples of a full batch in one process.
    """
    tried = [candidate for candidate in _possible(options, learner) if not candidate.insisted]
    verdict = Verdict(insisted)
    if tried and steps_left >= FEWEST_STEPS:
        with Rehearsal(learner, parts(), processes, batch_size) as rehearsal:
            _try_all(rehearsal, tried, verdict, steps_left)
        apply(verdict.acceleration, learner, batch_size)
    return verdict


def _possible(options: TrainOptions, learner: Learner) -> Iterator[Candidate]:
    device = learner.device
    for candidate in candidates(options, device.type, _could_use_bf16(learner)):
        if options.deterministic and not candidate.insisted:
            continue  # what a clock decides may differ from run to run
        if candidate.flag == "fast_matmul" and not matmul_is_exact():
            continue  # it would be bfloat16 in all but name: that is what `precision` is for
        if (
            candidate.flag == "compile"
            and device.type == "cpu"
            and not (shutil.which("g++") or shutil.which("clang++"))
        ):
            continue
        yield candidate


def _could_use_bf16(learner: Learner) -> bool:
    if learner.accelerator.mixed_precision != "no":
        return False  # the policy's own settings have decided
    if learner.device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    has_onednn = learner.device.type == "cpu" and torch.backends.mkldnn.is_available()
    return has_onednn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _try_all(rehearsal: Rehearsal, tried: Sequence[Candidate], verdict: Verdict, steps_left: int) -> None:
    began = time.monotonic()
    before_s = now_s = rehearsal.step_s(verdict.acceleration)
    budget_s = SHARE_OF_THE_RUN * steps_left * before_s
    found = []
    for candidate in tried:
        wanted = candidate.applied_to(verdict.acceleration)
        cost_s = candidate.cost_s + rehearsal.STEPS_TO_COMPARE * now_s
        if rehearsal.agreed(time.monotonic() - began + cost_s) > budget_s:
            found.append(f"{candidate.title} not tried (the run is too short for it)")
            continue
        failure = rehearsal.fails(wanted)
        if failure is not None:
            found.append(f"{candidate.title} does not work here ({failure})")
            continue
        with_s, without_s = rehearsal.compare(wanted, verdict.acceleration)
        gain = without_s / with_s
        found.append(f"{candidate.title} {gain:.2f}x" + ("" if gain >= WORTH_IT else ", not used"))
        if gain >= WORTH_IT:
            verdict.acceleration, now_s = wanted, with_s
    verdict.notes.append(
        f"measured on this machine in {time.monotonic() - began:.0f} s: {'; '.join(found)}; "
        f"a step takes {now_s:.3g} s instead of {before_s:.3g} s"
    )
