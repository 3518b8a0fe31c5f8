"""Errors and latency, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from etude.runs.results import JointError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["joint_errors", "latency_figures", "mean_errors"]


def joint_errors(names: Sequence[str], predicted: NDArray[Any], true: NDArray[Any]) -> list[JointError]:
    """MSE and MAE of each action dimension over `(frames, action)` arrays, in the action's own unit."""
    difference = predicted.astype("float64") - true.astype("float64")
    return [
        JointError(name, mse=float((column**2).mean()), mae=float(abs(column).mean()))
        for name, column in zip(names, difference.T, strict=True)
    ]


def mean_errors(joints: Sequence[JointError]) -> tuple[float, float]:
    """MSE and MAE over all joints, each joint counting the same."""
    return sum(j.mse for j in joints) / len(joints), sum(j.mae for j in joints) / len(joints)


def latency_figures(latency_ms: Sequence[float], planned: Sequence[bool], fps: float) -> dict[str, float]:
    """Milliseconds from observation to action, against the control period 1000 / fps.

    `mean`, `p50`, `p95`, `max` are over all frames, most of which are answered from the queue of planned
    actions; `plan_*` are over the frames at which a plan was made. `within_budget` is the share in time.
    """
    import numpy

    every, period = numpy.asarray(latency_ms), 1000 / fps
    figures = {
        "mean": float(every.mean()),
        "p50": float(numpy.percentile(every, 50)),
        "p95": float(numpy.percentile(every, 95)),
        "max": float(every.max()),
        "control_period": period,
        "within_budget": float((every <= period).mean()),
        "frames": float(len(every)),
    }
    plans = every[numpy.asarray(planned, dtype=bool)]
    if len(plans):
        figures["plans"] = float(len(plans))
        figures["plan_mean"] = float(plans.mean())
        figures["plan_p95"] = float(numpy.percentile(plans, 95))
    return figures
