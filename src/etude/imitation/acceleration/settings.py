"""Which accelerations a run uses, and which may be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from etude.config.options import TrainOptions

__all__ = ["Acceleration", "Candidate", "candidates"]


@dataclass(frozen=True)
class Acceleration:
    """A choice of accelerations; the default is none, which is LeRobot's own step.

    Attributes:
        fast_matmul: matrix products by oneDNN instead of MKL (CPU). Changes rounding only.
        fused_optimizer: one kernel for all weights. Changes rounding only.
        channels_last: convolutions read pictures pixel by pixel. Changes rounding only.
        bf16: forward passes compute in bfloat16 (`matmul`: all but convolutions); the weights stay float32.
        compile: off | on (torch.compile) | graphs (and CUDA graphs).
    """

    fast_matmul: bool = False
    fused_optimizer: bool = False
    channels_last: bool = False
    bf16: Literal["off", "on", "matmul"] = "off"
    compile: Literal["off", "on", "graphs"] = "off"

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Acceleration:
        """From a checkpoint; what it does not know is off."""
        known = {name: value for name, value in values.items() if name in cls.__dataclass_fields__}
        return cls(**known)


@dataclass(frozen=True)
class Candidate:
    """Something to try on top of what was accepted before.

    Attributes:
        title: what a user reads.
        flag: the option that governs it.
        change: the fields of `Acceleration` that it sets.
        cost_s: time that trying takes apart from the measured steps, such as compiling.
        insisted: the user said `on`: it is used without a measurement.
    """

    title: str
    flag: str
    change: dict[str, Any]
    cost_s: float = 0.0
    insisted: bool = False

    def applied_to(self, acceleration: Acceleration) -> Acceleration:
        """The accepted accelerations and this one."""
        return replace(acceleration, **self.change)


def candidates(options: TrainOptions, device: str, has_bf16: bool) -> Iterator[Candidate]:
    """What the options allow on this kind of device, in the order in which to try.

    Args:
        device: cpu | cuda | mps.
        has_bf16: whether the device computes in bfloat16.
    """
    on_cpu, on_cuda = device == "cpu", device == "cuda"
    everything = [
        (on_cpu, Candidate("matrix products by oneDNN", "fast_matmul", {"fast_matmul": True})),
        (device != "mps", Candidate("fused optimizer", "fused_optimizer", {"fused_optimizer": True})),
        (True, Candidate("channels-last", "channels_last", {"channels_last": True})),
        (has_bf16, Candidate("bfloat16", "precision", {"bf16": "on"})),
        (has_bf16 and on_cpu, Candidate("bfloat16, convolutions float32", "precision", {"bf16": "matmul"})),
        # On CPUs compiling was only ever seen to lose (ACT, diffusion), and takes minutes to find that out.
        (
            on_cuda or (on_cpu and options.compile == "on"),
            Candidate("torch.compile", "compile", {"compile": "on"}, 90.0),
        ),
        (on_cuda, Candidate("CUDA graphs", "compile", {"compile": "graphs"}, 60.0)),
    ]
    for possible, candidate in everything:
        asked = getattr(options, candidate.flag)
        if possible and asked in ("auto", "on"):
            yield replace(candidate, insisted=asked == "on" and candidate.change.get("compile") != "graphs")
