"""What an evaluation found, as dataclasses that go to and from `result.json`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from etude.runs.atomic import write_json

__all__ = ["EpisodeResult", "Interval", "JointError", "ReplayResult", "RolloutResult", "load_result"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        method: how the interval was computed, for example "wilson" or "bootstrap".
    """

    value: float
    low: float
    high: float
    method: str
    confidence: float = 0.95


@dataclass
class EpisodeResult:
    """One rollout."""

    index: int
    seed: int
    success: bool
    total_reward: float
    length: int
    video: str | None = None


@dataclass
class RolloutResult:
    """Rollouts of one policy in simulation (`evaluations/NAME/result.json`).

    Attributes:
        policy: `path`, `type`, `checkpoint_step`.
        environment: `type`, `task`, and what else was set.
        timing: `wall_s`, `env_steps_per_s`, `policy_ms` (median of one batched inference).
        videos: paths relative to the result file.
    """

    policy: dict[str, Any]
    environment: dict[str, Any]
    episodes: list[EpisodeResult]
    success_rate: Interval
    mean_reward: Interval
    timing: dict[str, float] = field(default_factory=dict)
    videos: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    created_at: str = field(default_factory=_now)
    kind: str = "rollout"
    schema: int = 1

    def save(self, folder: Path) -> Path:
        """Write `result.json` into `folder`."""
        return _save(self, folder)


@dataclass
class JointError:
    """Error of one action dimension, in the action's own unit."""

    name: str
    mse: float
    mae: float


@dataclass
class ReplayResult:
    """A policy's actions against recorded ones (`evaluations/NAME/result.json`).

    Attributes:
        dataset: `repo_id`, `root`, `episodes`, `frames`.
        latency_ms: `mean`, `p50`, `p95`, `max`, and `control_period` (1000 / fps).
        plots: paths relative to the result file.
    """

    policy: dict[str, Any]
    dataset: dict[str, Any]
    joints: list[JointError]
    mse: float
    mae: float
    episodes: list[dict[str, Any]]
    latency_ms: dict[str, float]
    plots: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    created_at: str = field(default_factory=_now)
    kind: str = "replay"
    schema: int = 1

    def save(self, folder: Path) -> Path:
        """Write `result.json` into `folder`."""
        return _save(self, folder)


@dataclass
class ComparisonResult:
    """Two policies on the same seeds.

    Attributes:
        first, second: each policy's success rate.
        difference: second minus first, with its paired interval.
        p_value: exact McNemar test (two-sided) on the pairs that differ.
        table: counts `both`, `only_first`, `only_second`, `neither`.
    """

    policies: list[dict[str, Any]]
    environment: dict[str, Any]
    first: Interval
    second: Interval
    difference: Interval
    p_value: float
    table: dict[str, int]
    seeds: list[int]
    command: list[str] = field(default_factory=list)
    created_at: str = field(default_factory=_now)
    kind: str = "comparison"
    schema: int = 1

    def save(self, folder: Path) -> Path:
        """Write `result.json` into `folder`."""
        return _save(self, folder)


def load_result(path: Path) -> RolloutResult | ReplayResult | ComparisonResult:
    """Read a `result.json`, or the one in a folder.

    Raises:
        ValueError: it is of no known kind.
    """
    file = path / "result.json" if path.is_dir() else path
    payload = json.loads(file.read_text(encoding="utf-8"))
    kind = payload.get("kind")
    if kind == "rollout":
        payload["episodes"] = [EpisodeResult(**item) for item in payload["episodes"]]
        payload["success_rate"] = Interval(**payload["success_rate"])
        payload["mean_reward"] = Interval(**payload["mean_reward"])
        return RolloutResult(**payload)
    if kind == "replay":
        payload["joints"] = [JointError(**item) for item in payload["joints"]]
        return ReplayResult(**payload)
    if kind == "comparison":
        for name in ("first", "second", "difference"):
            payload[name] = Interval(**payload[name])
        return ComparisonResult(**payload)
    raise ValueError(f"{file}: unknown kind of result {kind!r}")


def _save(result: Any, folder: Path) -> Path:
    path = folder / "result.json"
    write_json(path, dataclasses.asdict(result))
    return path
