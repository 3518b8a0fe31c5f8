"""Splitting a global batch over processes and accumulated batches without changing its loss.

The loss of a batch is the mean over its samples, so the mean over shares is the global loss once each share is
weighted by its samples: `SampleOrder` does that. ACT's L1 term is another mean: over the action frames that are not
padding (LeRobot 0.6, `modeling_act.py`). A share near the ends of episodes has fewer of them, and must weigh less.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from etude.data.batches import Source
from etude.data.order import SampleOrder

__all__ = ["LossWeights", "MeanOverFrames", "MeanOverSamples", "averages_frames", "loss_weights"]

OVER_SAMPLES = ("kld_loss",)  # what ACT reports that is a mean over samples


@dataclass(frozen=True)
class LossWeights:
    """What a share's loss is multiplied by, and what ACT's KL weight is multiplied by before that."""

    loss: float
    kl: float = 1.0


class MeanOverSamples:
    """For policies whose loss is a mean over samples."""

    def __init__(self, order: SampleOrder) -> None:
        self._order = order

    def weights(self, step: int, index: int) -> LossWeights:
        """Of share `index` of the global batch of this step."""
        return LossWeights(self._order.share(step, index).weight)


class MeanOverFrames:
    """For ACT: L1 averages over unpadded action frames, the KL divergence over samples."""

    def __init__(self, order: SampleOrder, source: Source) -> None:
        self._order = order
        self._source = source

    def weights(self, step: int, index: int) -> LossWeights:
        """Of share `index`; every process knows the rows of all shares, so nothing is exchanged."""
        order = self._order
        share = order.share(step, index)
        if share.weight == 0.0:
            return LossWeights(0.0)
        mine = self._source.unpadded("action", share.rows)
        everyone = self._source.unpadded("action", order.rows_of(step))
        loss = mine * order.shares / everyone
        return LossWeights(loss, kl=share.weight / loss)


def averages_frames(policy: Any) -> bool:
    """Whether the policy's loss is a mean over unpadded action frames."""
    return getattr(policy, "name", None) == "act"


def loss_weights(policy: Any, order: SampleOrder, source: Source) -> MeanOverSamples | MeanOverFrames:
    """The way to weigh this policy's shares; a batch of one share needs no care."""
    if averages_frames(policy) and order.shares > 1:
        return MeanOverFrames(order, source)
    return MeanOverSamples(order)


@contextlib.contextmanager
def scaled_kl(policy: Any, factor: float) -> Iterator[None]:
    """The policy's KL weight is multiplied by `factor` while the block runs."""
    if factor == 1.0:
        yield
        return
    weight = policy.config.kl_weight
    policy.config.kl_weight = weight * factor
    try:
        yield
    finally:
        policy.config.kl_weight = weight
