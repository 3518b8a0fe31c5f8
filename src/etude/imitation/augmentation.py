"""LeRobot's image transforms (`--dataset.image_transforms.*`), the same for the same seed and step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from etude.imitation import randomness

__all__ = ["Augmentation", "make_augmentation"]


class Augmentation:
    """Transforms the pictures of a batch, sample by sample.

    The transforms draw from torch's global generator. They run here, on the training thread and on a seed of their
    own, so that they neither race with nor shift the randomness of the training.
    """

    def __init__(self, transform: Callable[[torch.Tensor], torch.Tensor], keys: Sequence[str], seed: int) -> None:
        self._transform = transform
        self._keys = list(keys)
        self._seed = seed

    def __call__(self, batch: dict[str, Any], step: int, share: int) -> dict[str, Any]:
        """The batch with transformed pictures, `(batch, [time,] channels, height, width)`."""
        words = np.random.SeedSequence([self._seed, step, share]).generate_state(1)
        with randomness.isolated(int(words[0])):
            changed = {
                key: torch.stack([self._transform(sample) for sample in batch[key]])
                for key in self._keys
                if key in batch
            }
        return {**batch, **changed}


def make_augmentation(config: Any, meta: Any, seed: int) -> Augmentation | None:
    """What `config.dataset.image_transforms` asks for; None when it is off."""
    if not config.dataset.image_transforms.enable:
        return None
    from lerobot.transforms import ImageTransforms

    keys = [key for key in meta.camera_keys if key not in meta.depth_keys]
    return Augmentation(ImageTransforms(config.dataset.image_transforms), keys, seed)
