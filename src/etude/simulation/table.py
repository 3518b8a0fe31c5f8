"""What all environments of a row see, side by side in memory that its processes share."""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from etude.simulation.base import EnvironmentSpec, Observation

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    import numpy.typing as npt

__all__ = ["ObservationTable"]


@dataclass
class ObservationTable:
    """For each observation an array `(environments, ...)`: float32 vectors, uint8 images `(height, width, 3)`.

    An environment writes what it sees into its row, also from another process, so that no picture is copied
    through a pipe, and a policy reads all rows as one array.
    """

    shapes: Mapping[str, tuple[int, ...]]
    count: int
    memory: Mapping[str, Any]
    arrays: dict[str, npt.NDArray[Any]] = field(init=False)

    def __post_init__(self) -> None:
        import numpy as np

        self.arrays = {}
        for name, shape in self.shapes.items():
            image = len(shape) == 3
            row = (*shape[1:], 3) if image else shape
            kind = np.uint8 if image else np.float32
            values = np.frombuffer(self.memory[name], dtype=kind, count=self.count * math.prod(row))
            self.arrays[name] = values.reshape(self.count, *row)

    @classmethod
    def make(cls, spec: EnvironmentSpec, count: int, context: BaseContext | None = None) -> ObservationTable:
        """Room for the observations of `count` environments; shared between the processes of `context`.

        Shared memory is used where there is enough of it, else a file in the folder for temporary files.
        """
        shapes = dict(spec.observations or {})
        memory = {name: _memory(count * _row_bytes(shape), context) for name, shape in shapes.items()}
        return cls(shapes, count, memory)

    def __getstate__(self) -> tuple[Any, ...]:
        return (self.shapes, self.count, self.memory)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.shapes, self.count, self.memory = state
        self.__post_init__()

    def write(self, slot: int, observation: Observation) -> None:
        """Fill the row of one environment."""
        for name, array in self.arrays.items():
            array[slot] = observation[name]

    def read(self, slot: int) -> Observation:
        """A copy of one row."""
        return {name: array[slot].copy() for name, array in self.arrays.items()}


def _row_bytes(shape: tuple[int, ...]) -> int:
    return math.prod(shape) * (1 if len(shape) == 3 else 4)


def _memory(size: int, context: BaseContext | None) -> Any:
    return mmap.mmap(-1, max(1, size)) if context is None else context.RawArray("B", max(1, size))
