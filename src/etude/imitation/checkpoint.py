"""What lies inside a checkpoint: LeRobot's files, and beside them what an exact resume needs.

pretrained_model/    config.json, model.safetensors, processors, train_config.json: LeRobot reads and writes these
training_state/      optimizer, schedule, rng_state.safetensors, training_step.json: LeRobot's, too
training_state/etude.json              position in the data, best so far, meters, gradient scaler
training_state/randomness.json         random states of every process, exact
training_state/own_weights.safetensors the weights being trained, when `pretrained_model` holds their average
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.data.order import Position
from etude.errors import CheckpointError
from etude.imitation import randomness
from etude.imitation.ema import WeightAverage
from etude.imitation.learner import Learner
from etude.imitation.snapshot import LearnerSnapshot
from etude.runs.checkpoints import Checkpoint

__all__ = ["TrainingState", "load_learner", "write_checkpoint"]

OWN_STATE = "etude.json"
RANDOMNESS = "randomness.json"
OWN_WEIGHTS = "own_weights.safetensors"


@dataclass
class TrainingState:
    """Where a run stands, apart from its weights.

    Attributes:
        step: finished optimizer updates.
        position: where the next batch begins.
        global_batch: samples of an update, over all processes and accumulated batches.
        meters: the window of the next logged point.
        best: the best value of the watched metric so far and its step.
        bad_validations: validations in a row without improvement.
        acceleration: what makes its steps faster, and the kind of device on which that was found.
        pending: what was due at `step` but cut short by a stop: "validate", "rollout".
    """

    step: int = 0
    position: Position = field(default_factory=Position)
    global_batch: int = 0
    world: int = 1
    meters: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)
    bad_validations: int = 0
    pending: list[str] = field(default_factory=list)
    scaler: dict[str, Any] = field(default_factory=dict)
    average_updates: int = 0
    acceleration: dict[str, Any] = field(default_factory=dict)


def write_checkpoint(
    folder: Path,
    *,
    state: dict[str, Any],
    random_states: list[dict[str, Any]],
    snapshot: LearnerSnapshot,
    config: Any,
    processors: tuple[Any, Any],
    batch_size: int,
) -> None:
    """Fill `folder` with a checkpoint; reads nothing that training changes.

    Args:
        state: the `TrainingState`, as a dictionary.
        random_states: `randomness.capture()` of every process, by rank.
        config: LeRobot's `TrainPipelineConfig`.
        processors: pre- and postprocessor.
        batch_size: samples of one process's batch.
    """
    from lerobot.common.train_utils import save_training_step
    from lerobot.optim import save_optimizer_state
    from lerobot.utils.constants import RNG_STATE, SCHEDULER_STATE
    from lerobot.utils.io_utils import write_json
    from safetensors.torch import save_file

    pretrained = folder / "pretrained_model"
    snapshot.policy.save_pretrained(pretrained)
    if config.peft is not None:
        snapshot.policy.config.save_pretrained(pretrained)
    config.save_pretrained(pretrained)
    for processor in processors:
        processor.save_pretrained(pretrained)
    training = folder / "training_state"
    training.mkdir(exist_ok=True)
    save_training_step(state["step"], training, num_processes=state["world"], batch_size=batch_size)
    save_file(snapshot.lerobot_randomness, training / RNG_STATE)
    save_optimizer_state(None, training, optim_state_dict=snapshot.optimizer)
    if snapshot.schedule is not None:
        write_json(snapshot.schedule, training / SCHEDULER_STATE)
    if snapshot.own_weights is not None:
        _save_own_weights(snapshot, training / OWN_WEIGHTS)
    own = state | {"average_updates": snapshot.average_updates, "scaler": snapshot.scaler}
    (training / OWN_STATE).write_text(json.dumps(own), encoding="utf-8")
    (training / RANDOMNESS).write_text(json.dumps(random_states), encoding="utf-8")


def _save_own_weights(snapshot: LearnerSnapshot, file: Path) -> None:
    """Write them as `save_model` does, which knows which weights are shared."""
    from safetensors.torch import save_model

    published = {name: value.detach().clone() for name, value in snapshot.policy.state_dict().items()}
    snapshot.policy.load_state_dict(snapshot.own_weights)
    save_model(snapshot.policy, str(file))
    snapshot.policy.load_state_dict(published)


def read_state(checkpoint: Checkpoint) -> TrainingState:
    """Where the run stood; of a checkpoint that LeRobot wrote, what its files say.

    Raises:
        CheckpointError: the state is absent or unreadable.
    """
    try:
        own = checkpoint.training_state / OWN_STATE
        if own.is_file():
            payload = json.loads(own.read_text(encoding="utf-8"))
            payload["position"] = Position(**payload["position"])
            return TrainingState(**payload)
        recorded = json.loads((checkpoint.training_state / "training_step.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{checkpoint.path} holds no training state: {error}",
            hint="to start from its weights: etude train --policy.path="
            f"{checkpoint.pretrained_model} --checkpoint-mode from-trained",
        ) from error
    world = recorded.get("num_processes") or 1
    return TrainingState(
        step=recorded["step"],
        position=Position(-1, -1),  # LeRobot's position follows from the step and the size of its batches
        global_batch=world * (recorded.get("batch_size") or 0),
        world=world,
    )


def load_learner(checkpoint: Checkpoint, learner: Learner, state: TrainingState, rank: int) -> None:
    """Put optimizer, schedule, average and random states back. The policy's weights are loaded already.

    Raises:
        CheckpointError: a file is absent or does not fit the policy.
    """
    from lerobot.optim import load_optimizer_state, load_scheduler_state

    folder = checkpoint.training_state
    try:
        load_optimizer_state(learner.bare_optimizer, folder)
        if learner.schedule is not None:
            load_scheduler_state(learner.schedule, folder)
        if isinstance(learner.average, WeightAverage):
            _load_average(folder, learner, state)
        if learner.accelerator.scaler is not None and state.scaler:
            learner.accelerator.scaler.load_state_dict(state.scaler)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"the training state in {checkpoint.path} does not fit this run: {error}") from error
    _restore_randomness(folder, rank)


def _load_average(folder: Path, learner: Learner, state: TrainingState) -> None:
    from safetensors.torch import load_model

    average = learner.average
    assert isinstance(average, WeightAverage)
    own = folder / OWN_WEIGHTS
    average.updates = state.average_updates
    average.weights = {name: value.detach().clone() for name, value in learner.policy.state_dict().items()}
    if own.is_file():
        load_model(learner.policy, str(own))


def _restore_randomness(folder: Path, rank: int) -> None:
    own = folder / RANDOMNESS
    if own.is_file():
        states = json.loads(own.read_text(encoding="utf-8"))
        if rank < len(states):
            randomness.restore(states[rank])
        return
    from lerobot.utils.random_utils import load_rng_state

    load_rng_state(folder)
