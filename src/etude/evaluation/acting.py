"""From what the environments show to actions: as many at once as the policy decides without looking again."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Acting", "Player"]


class Acting(Protocol):
    """What is rolled out: a `policies.LoadedPolicy`, or a trainer's policy with its processors."""

    @property
    def policy(self) -> Any: ...
    @property
    def preprocessor(self) -> Callable[[dict[str, Any]], dict[str, Any]]: ...
    @property
    def postprocessor(self) -> Callable[[Any], Any]: ...
    @property
    def config(self) -> Any: ...

    def describe(self) -> dict[str, Any]: ...


# Their `select_action` reads the observation for nothing but its window of observations and, when its queue of
# actions is empty, for a new chunk of actions; anything else takes from the queue.
_CHUNKING = frozenset({"act", "diffusion", "multi_task_dit", "pi0", "pi05", "pi0_fast", "smolvla", "vqbet"})


class Player:
    """A policy that plays several episodes side by side, one inference for all of them.

    A policy that predicts chunks of actions reads few of the observations: those when its queue of actions is
    empty, and as many before as its window is long. Its actions in between are handed out at once, so that nobody
    draws pictures that it would not look at. Other policies get to see every step.

    Between two chunks an episode may begin in a row whose episode has ended, the others going on: the policy then
    holds nothing about that row but its window of observations, which is filled with the first one, as at a reset.

    Args:
        task: what to do, in words.
    """

    def __init__(self, loaded: Acting, task: str) -> None:
        self._loaded, self._task = loaded, task
        self._chunking = _hands_out_chunks(loaded)
        self._inference_s: list[float] = []
        self._calls = 0

    def restart(self) -> None:
        """Forget everything: new episodes in all rows."""
        self._loaded.policy.reset()
        self._calls = 0

    @property
    def between_chunks(self) -> bool:
        """Whether single rows may begin a new episode now."""
        return self._chunking and not self._queue()

    @property
    def forgets(self) -> bool:
        """Whether nothing is remembered between two chunks, so that rows may even come and go."""
        return self._chunking and self._window() == 1

    @property
    def inference_ms(self) -> float:
        """Median time of an inference, observations to actions."""
        return 1000 * statistics.median(self._inference_s)

    def act(self, observations: Mapping[str, npt.NDArray[Any]], fresh: Sequence[int] = ()) -> npt.NDArray[Any]:
        """Actions `(steps, batch, action)`, float32, in the environment's unit; at least one step.

        Args:
            observations: arrays `(batch, ...)`, images uint8 `(batch, height, width, 3)`; they may be kept.
            fresh: rows whose episode begins now while others go on; allowed between chunks.
        """
        import torch

        loaded = self._loaded
        device = torch.device(str(loaded.config.device))
        started = time.perf_counter()
        predicts = not self._queue() if self._chunking else self._calls % _every(loaded.config) == 0
        with torch.no_grad(), torch.autocast(device.type, enabled=bool(getattr(loaded.config, "use_amp", False))):
            batch = loaded.preprocessor(to_batch(observations, self._task, device))
            if fresh and self._window() > 1:
                self._fill_window(batch, fresh)
            chosen = [loaded.policy.select_action(batch), *self._take_unseen()]
            actions = loaded.postprocessor(torch.cat(chosen)).to("cpu", torch.float32)
        self._calls += 1
        if predicts:
            self._inference_s.append(time.perf_counter() - started)
        played: npt.NDArray[Any] = actions.numpy().reshape(len(chosen), -1, actions.shape[-1])
        return played

    def _take_unseen(self) -> list[Any]:
        """The queue's actions before the next observation that the policy reads."""
        queue, window = self._queue(), self._window()
        return [queue.popleft() for _ in range(len(queue) - window + 1)]

    def _fill_window(self, batch: Mapping[str, Any], fresh: Sequence[int]) -> None:
        """Let the windows of some rows hold the first observation only, as after a reset.

        With an action in its queue, the policy appends the observation to its windows and does no more.
        """
        import torch

        self._queue().append(torch.zeros(1))
        self._loaded.policy.select_action(dict(batch))
        for window in self._windows():
            first = window.pop()
            for index, seen in enumerate(window):
                window[index] = seen.clone()
                window[index][list(fresh)] = first[list(fresh)]

    def _queue(self) -> deque[Any]:
        """The policy's actions that are left; empty where it is not known how it keeps them."""
        return _queue_of(self._loaded.policy) if self._chunking else deque()

    def _windows(self) -> list[deque[Any]]:
        queues = getattr(self._loaded.policy, "_queues", {})
        return [queue for name, queue in queues.items() if name != "action" and queue]

    def _window(self) -> int:
        """How many observations the policy keeps."""
        return max([window.maxlen or 1 for window in self._windows()], default=1)


def to_batch(observations: Mapping[str, npt.NDArray[Any]], task: str, device: Any) -> dict[str, Any]:
    """Observations as LeRobot's batch on the device: images float32 `(batch, 3, height, width)` in [0, 1]."""
    import torch

    batch: dict[str, Any] = {}
    for name, values in observations.items():
        tensor = torch.from_numpy(values).to(device)
        if tensor.dtype == torch.uint8:
            # Divided by a tensor: by a number, a GPU would multiply with its rounded reciprocal.
            tensor = tensor.permute(0, 3, 1, 2).contiguous().to(torch.float32) / torch.tensor(255.0, device=device)
        batch[name] = tensor
    batch["task"] = [task] * len(tensor)
    return batch


def _hands_out_chunks(loaded: Acting) -> bool:
    """Whether the policy is known to look only when it needs a new chunk, and its processors do not look at all."""
    config = loaded.config
    if config.type not in _CHUNKING or getattr(config, "temporal_ensemble_coeff", None) is not None:
        return False
    if not isinstance(_queue_of(loaded.policy), deque):
        return False
    return all(
        type(step).__module__.startswith("lerobot.") and not _adds_the_state(step)
        for processor in (loaded.preprocessor, loaded.postprocessor)
        for step in getattr(processor, "steps", [processor])
    )


def _queue_of(policy: Any) -> Any:
    """Where LeRobot's policies keep the actions of a chunk."""
    queue = getattr(policy, "_action_queue", None)
    return queue if queue is not None else getattr(policy, "_queues", {}).get("action")


def _adds_the_state(step: Any) -> bool:
    """Actions relative to the state need the state of every step."""
    return type(step).__name__ == "AbsoluteActionsProcessorStep" and bool(step.enabled)


def _every(config: Any) -> int:
    """At which calls a policy computes; at the others it only takes from its queue."""
    return getattr(config, "n_action_steps", 1) or 1
