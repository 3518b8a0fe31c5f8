"""Loss on held-out episodes: sample-weighted, seeded, and without a trace in the training's randomness."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from etude.data.batches import Source
from etude.data.table import Rows
from etude.imitation import randomness
from etude.imitation.learner import Learner, scalars
from etude.imitation.meters import as_sum
from etude.imitation.shares import OVER_SAMPLES, averages_frames, scaled_kl

__all__ = ["Validation"]


class Validation:
    """Measures a policy on rows of held-out episodes.

    Args:
        source: where batches come from.
        rows: the frames to measure on, in the data's order.
        batch_size: samples at a time in one process.
        seed: of the noise that losses draw (diffusion steps, VAE samples); the same at every validation.
        rank, world: this process and how many there are; each takes every `world`-th batch.
        reduce: sums an array over all processes.
    """

    def __init__(
        self,
        source: Source,
        rows: Rows,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        reduce: Callable[[torch.Tensor], torch.Tensor] = lambda values: values,
    ) -> None:
        self._source = source
        batch_size = max(1, min(batch_size, len(rows) // world))  # so that every process has a batch
        self._batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        self._mine = range(rank, len(self._batches), world)
        self._seed = seed
        self._reduce = reduce
        self.samples = len(rows)

    @torch.no_grad()
    def measure(self, learner: Learner, interrupted: Callable[[], bool] = lambda: False) -> dict[str, float] | None:
        """Mean loss and its parts over all samples; None when `interrupted` cut it short."""
        count = self._frames if averages_frames(learner.policy) else len
        of_all = sum(count(rows) for rows in self._batches)
        totals: dict[str, torch.Tensor | float] = {}  # on the device: it is waited for once, at the end
        with learner.average.applied(), _measuring(learner.policy), randomness.isolated(self._seed):
            for index in self._mine:
                if interrupted():
                    return None
                rows = self._batches[index]
                randomness.seed_everything(self._seed + index)
                of_samples, share = len(rows) / self.samples, count(rows) / of_all
                with scaled_kl(learner.policy, of_samples / share):
                    loss, details = learner.forward(self._source.batch(rows))
                for name, value in {"loss": loss, **scalars(details)}.items():
                    weight = of_samples if name in OVER_SAMPLES else share
                    totals[name] = totals.get(name, 0.0) + as_sum(value) * weight
        names = sorted(totals)
        sums = self._reduce(torch.tensor([float(totals[name]) for name in names], dtype=torch.float64))
        return dict(zip(names, sums.tolist(), strict=True))

    def _frames(self, rows: Rows) -> int:
        return self._source.unpadded("action", rows)


def spread(rows: Rows, most: int) -> Rows:
    """At most `most` of the rows, evenly spread; 0 means all."""
    if most <= 0 or len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


@contextlib.contextmanager
def _measuring(policy: nn.Module) -> Iterator[None]:
    """Evaluation mode, but with every term of the training loss."""
    modes = {name: module.training for name, module in policy.named_modules()}
    policy.eval()
    for module in _loss_gates(policy):
        module.training = True
    try:
        yield
    finally:
        for name, module in policy.named_modules():
            module.training = modes[name]


def _loss_gates(policy: Any) -> list[nn.Module]:
    """Modules whose own `training` flag decides whether a term of the loss is computed.

    ACT runs its VAE encoder, and so has a KL term, only while `model.training`. The flag is set on that module alone:
    its dropout layers stay off.
    """
    if getattr(policy, "name", None) == "act" and policy.config.use_vae:
        return [policy.model]
    return []
