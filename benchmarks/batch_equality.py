"""Compare a batch of ours with LeRobot's, key by key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Comparison:
    """How two batches of the same rows differ.

    Attributes:
        missing: keys that only one of them has.
        unequal: keys whose values are not bit-identical, other than pictures.
        pictures: mean absolute difference of each camera's pictures, in steps of 0..255; 0.0 is bit-identical.
    """

    missing: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    pictures: dict[str, float] = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        return not self.missing and not self.unequal and not any(self.pictures.values())

    def same_but_for_pictures(self, limit: float) -> bool:
        """Whether only pictures differ, and by less than `limit` in the mean."""
        return not self.missing and not self.unequal and all(value < limit for value in self.pictures.values())


def compare(ours: Path, theirs: Path) -> Comparison:
    """Compare two batches that `serve` has written."""
    import torch

    a, b = torch.load(ours, weights_only=True), torch.load(theirs, weights_only=True)
    found = Comparison(missing=sorted(set(a) ^ set(b)))
    for key in sorted(set(a) & set(b)):
        if not isinstance(a[key], torch.Tensor):
            if a[key] != b[key]:
                found.unequal.append(key)
        elif a[key].shape != b[key].shape or a[key].dtype != b[key].dtype:
            found.unequal.append(key)
        elif a[key].dtype == torch.uint8 and a[key].ndim >= 4:
            found.pictures[key] = float((a[key].int() - b[key].int()).abs().float().mean())
        elif not torch.equal(a[key], b[key]):
            found.unequal.append(key)
    return found
