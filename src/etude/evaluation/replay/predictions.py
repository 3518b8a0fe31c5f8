"""What a policy would do at each recorded frame.

Two questions, two passes over an episode:

*As executed* answers what a robot would have received. Frames are shown one by one after `policy.reset()`,
and `select_action` answers from its queue of planned actions until that is empty. Each answer is timed.

*Fresh* answers how good the policy's plan is at every frame: the first action of a plan made right there.
Frames of one episode are shown as a batch of independent robots: `policy.reset()`, then `select_action` once.
A policy that looks at several frames (`n_obs_steps` > 1, diffusion and VQ-BeT) is first shown the frames
before, oldest first; while it collects them its action queue holds a placeholder, so that no plan is made of
a half-filled history. Before an episode's start its first frame is repeated, as those policies do on a robot.
Temporal ensembling has nothing to average in a fresh plan.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Executed", "execute", "predict_fresh", "warm_up"]

Frame = dict[str, Any]


@dataclass
class Executed:
    """An episode as a robot would have lived it.

    Attributes:
        actions: `(frames, action)`, in the action's own unit.
        latency_ms: per frame, from the observation in memory to the action in memory.
        planned: per frame, whether the policy made a new plan.
    """

    actions: NDArray[Any]
    latency_ms: list[float] = field(default_factory=list)
    planned: list[bool] = field(default_factory=list)


def execute(loaded: Any, frames: Iterable[Frame], on_frame: Callable[[], None] = lambda: None) -> Executed:
    """Show frames one by one, as on a robot, and time each answer."""
    import numpy

    actions, latency, planned = [], [], []
    loaded.policy.reset()
    with _counting_plans(loaded.policy) as plans:
        for frame in frames:
            before, start = plans[0], time.perf_counter()
            action = _act(loaded, _batch([frame]))
            latency.append((time.perf_counter() - start) * 1000)
            planned.append(plans[0] > before)
            actions.append(action[0])
            on_frame()
    return Executed(numpy.stack(actions), latency, planned)


def warm_up(loaded: Any, frames: Sequence[Frame], rounds: int = 2) -> None:
    """Make a few plans that are not timed: first calls load kernels and fill caches."""
    for _ in range(rounds):
        loaded.policy.reset()
        for frame in frames:
            _act(loaded, _batch([frame]))
    loaded.policy.reset()


def predict_fresh(
    loaded: Any,
    frames: Iterable[Frame],
    *,
    batch_size: int = 32,
    every: int = 1,
    on_frame: Callable[[], None] = lambda: None,
) -> NDArray[Any]:
    """The first action of a plan made at every `every`-th frame: `(predictions, action)`, in its own unit."""
    import numpy

    lags = history_length(loaded.config) - 1
    predictions = []
    for group in _groups(_windows(frames, lags, every), batch_size):
        loaded.policy.reset()
        for lag in range(lags):
            _remember(loaded, _batch([window[lag] for window in group]))
        predictions.append(_act(loaded, _batch([window[-1] for window in group])))
        for _ in group:
            on_frame()
    loaded.policy.reset()
    return numpy.concatenate(predictions)


def history_length(config: Any) -> int:
    """How many frames the policy looks at."""
    return int(getattr(config, "n_obs_steps", 1) or 1)


def _windows(frames: Iterable[Frame], lags: int, every: int) -> Iterator[list[Frame]]:
    """For each predicted frame, itself and the `lags` frames before it, oldest first."""
    recent: list[Frame] = []
    for position, frame in enumerate(frames):
        recent = (recent or [frame] * lags)[-lags:] if lags else []
        window = [*recent, frame]
        recent = window
        if position % every == 0:
            yield window


def _groups(windows: Iterator[list[Frame]], size: int) -> Iterator[list[list[Frame]]]:
    while group := list(islice(windows, size)):
        yield group


def _batch(frames: Sequence[Frame]) -> dict[str, Any]:
    """Stack frames: tensors to `(batch, ...)`, the task to a list of sentences."""
    import torch

    keys = [key for key in frames[0] if key not in ("action", "task")]
    batch: dict[str, Any] = {key: torch.stack([frame[key] for frame in frames]) for key in keys}
    batch["task"] = [frame["task"] for frame in frames]
    return batch


def _act(loaded: Any, batch: dict[str, Any]) -> NDArray[Any]:
    """Observations `(batch, ...)` to actions `(batch, action)` in the action's own unit."""
    import torch

    with torch.inference_mode():
        action = loaded.policy.select_action(loaded.preprocessor(batch))
        result: NDArray[Any] = loaded.postprocessor(action).float().cpu().numpy()
    return result


def _remember(loaded: Any, batch: dict[str, Any]) -> None:
    """Let the policy take in an observation without planning: its queue already holds an action."""
    import torch

    with torch.inference_mode():
        queue = _action_queue(loaded.policy)
        if queue is not None and len(queue) == 0:
            queue.append(torch.zeros(1))
        loaded.policy.select_action(loaded.preprocessor(batch))
        if queue is not None:
            queue = _action_queue(loaded.policy)
            queue.clear()


def _action_queue(policy: Any) -> Any:
    queues = getattr(policy, "_queues", None)
    if isinstance(queues, dict) and "action" in queues:
        return queues["action"]
    return getattr(policy, "_action_queue", None)


@contextlib.contextmanager
def _counting_plans(policy: Any) -> Iterator[list[int]]:
    """Count calls of `predict_action_chunk`, which every LeRobot policy makes when its queue is empty."""
    count, original = [0], policy.predict_action_chunk

    def counted(*arguments: Any, **options: Any) -> Any:
        count[0] += 1
        return original(*arguments, **options)

    policy.predict_action_chunk = counted
    try:
        yield count
    finally:
        del policy.predict_action_chunk
