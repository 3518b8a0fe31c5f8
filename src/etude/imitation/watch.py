"""Which checkpoint is best, and when to stop trying."""

from __future__ import annotations

from collections.abc import Mapping

from etude.config.options import TrainOptions
from etude.imitation.checkpoint import TrainingState

__all__ = ["Watch"]

LOWER_IS_BETTER = {"val/loss": True, "eval/success_rate": False}
BY_OPTION = {"val_loss": "val/loss", "success_rate": "eval/success_rate"}


class Watch:
    """Compares validations and rollouts with the best so far, which lives in the training state.

    Args:
        metric: `val/loss` or `eval/success_rate`; None watches nothing.
    """

    def __init__(self, metric: str | None, options: TrainOptions, state: TrainingState) -> None:
        self.metric = metric
        self._patience = options.early_stopping.patience
        self._min_delta = options.early_stopping.min_delta
        self._state = state

    @classmethod
    def choose(cls, options: TrainOptions, state: TrainingState, *, validates: bool, rolls_out: bool) -> Watch:
        """Watch what `--checkpoint.best_by` names; `auto` prefers success in simulation over loss."""
        named = BY_OPTION.get(options.checkpoint.best_by)
        available = [name for name, here in (("eval/success_rate", rolls_out), ("val/loss", validates)) if here]
        metric = named if named in available else next(iter(available), None)
        return cls(metric, options, state)

    def improved(self, metrics: Mapping[str, float], step: int) -> bool:
        """Take in what was measured at this step; True when it is the best so far."""
        if self.metric is None or self.metric not in metrics:
            return False
        value = metrics[self.metric]
        best = self._state.best
        if not best or self._gain(value, best["value"]) > self._min_delta:
            self._state.best = {"metric": self.metric, "value": value, "step": step}
            self._state.bad_validations = 0
            return True
        self._state.bad_validations += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether early stopping is due."""
        return self._patience is not None and self._state.bad_validations >= self._patience

    def _gain(self, value: float, best: float) -> float:
        assert self.metric is not None
        return best - value if LOWER_IS_BETTER[self.metric] else value - best
