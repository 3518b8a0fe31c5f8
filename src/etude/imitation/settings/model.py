"""The settings of one training run."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from typing import Any

from etude.config.defaults import BY_STEPS, by_steps
from etude.config.options import TrainOptions
from etude.errors import UsageError
from etude.imitation.settings.presets import apply_presets

__all__ = ["TrainSettings"]


@dataclass
class TrainSettings:
    """What to train and how.

    Attributes:
        lerobot: LeRobot's `TrainPipelineConfig`, with its optimizer and schedule set.
        options: what LeRobot's configuration does not have.
        automatic: keys that nobody set and that the machine or the data decide; `encode` leaves them out.
        notes: sentences for the user about what was decided here.
    """

    lerobot: Any
    options: TrainOptions
    automatic: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list, compare=False)

    @property
    def unfinished(self) -> bool:
        """Whether the number of steps waits for the dataset (`num_epochs`)."""
        return self.options.num_epochs is not None

    def finish(self, num_frames: int, action_dim: int | None = None, num_processes: int = 1) -> TrainSettings:
        """The settings with what the dataset decides: the number of steps, and what follows from it.

        Args:
            num_frames: frames trained on, held-out episodes left out.
            action_dim: numbers in one action of the dataset.
            num_processes: how many processes train together; each has its own batches.

        Raises:
            UsageError: the actions are not what `action_dim` says.
        """
        expected = self.options.action_dim
        if expected is not None and action_dim is not None and expected != action_dim:
            raise UsageError(
                f"action_dim={expected}, but the actions of this dataset have {action_dim} numbers",
                hint="leave policy.action_dim out: it follows from the dataset",
            )
        if self.options.num_epochs is None:
            return self
        lerobot = copy.deepcopy(self.lerobot)
        batch = lerobot.batch_size * self.options.gradient_accumulation_steps * num_processes
        lerobot.steps = max(1, math.ceil(self.options.num_epochs * num_frames / batch))
        values = {
            "save_freq": lerobot.save_freq,
            "batch_size": lerobot.batch_size,
            "dataset": {"eval_split": lerobot.dataset.eval_split},
        }
        for key in BY_STEPS:
            if key in self.automatic:
                setattr(lerobot, key, by_steps(key, lerobot.steps, values))
        apply_presets(lerobot, self.options)
        return replace(self, lerobot=lerobot)
