"""Rollouts: the right episodes, counted rightly, and nothing disturbed."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from etude.errors import SimulationError
from etude.evaluation.rollouts import evaluate_policy
from etude.runs.results import RolloutResult
from etude.simulation import EnvironmentSpec, make_environments

SPEC = EnvironmentSpec("metaworld", "reach-v3", video_size=(48, 64))


class Expert(nn.Module):
    """Acts like the benchmark's expert, with noise; keeps a queue for the batch as chunking policies do."""

    def __init__(self, noise: float = 0.0, chunk: int = 1) -> None:
        super().__init__()
        from metaworld.policies import ENV_POLICY_MAP

        self.trained, self.frozen = nn.Dropout(), nn.Dropout().eval()
        self.noise, self.chunk, self.resets = noise, chunk, 0
        self._expert = ENV_POLICY_MAP["reach-v3"]()
        self._queue: list[torch.Tensor] = []

    def reset(self) -> None:
        self.resets += 1
        self._queue = []

    def select_action(self, batch: dict[str, Any]) -> torch.Tensor:
        assert not self.training
        assert len(batch["task"]) == len(batch["observation.environment_state"])
        if not self._queue:
            states = batch["observation.environment_state"].double().numpy()
            action = torch.tensor(np.stack([self._expert.get_action(state) for state in states])).float()
            self._queue = [action.clamp(-1, 1)] * self.chunk
        action = self._queue.pop(0)
        return action + self.noise * torch.randn(action.shape) * random.random() * np.random.rand()


def acting(policy: nn.Module, action: int = 4, **inputs: tuple[int, ...]) -> Any:
    shapes = {"observation.environment_state": (39,), **inputs}
    config = SimpleNamespace(
        type="expert",
        device="cpu",
        n_action_steps=getattr(policy, "chunk", 1),
        input_features={name: SimpleNamespace(shape=shape) for name, shape in shapes.items()},
        output_features={"action": SimpleNamespace(shape=(action,))},
    )
    return SimpleNamespace(
        policy=policy,
        preprocessor=lambda batch: batch,
        postprocessor=lambda action: action,
        config=config,
        describe=lambda: {"path": None, "type": "expert", "checkpoint_step": 1},
    )


def facts(result: RolloutResult) -> list[tuple[int, int, bool, float, int]]:
    return [(e.index, e.seed, e.success, e.total_reward, e.length) for e in result.episodes]


def test_an_expert_succeeds_and_every_episode_is_counted_once() -> None:
    heard: list[tuple[int, int, int]] = []
    result = evaluate_policy(
        acting(Expert()), SPEC, episodes=5, seed=3, batch_size=2, progress=lambda *said: heard.append(said)
    )
    assert [episode.seed for episode in result.episodes] == [3, 4, 5, 6, 7]
    assert [episode.index for episode in result.episodes] == [0, 1, 2, 3, 4]
    assert result.success_rate.value == 1.0
    assert result.success_rate.method == "wilson"
    assert heard == [(done, 5, done) for done in range(1, 6)]
    assert all(0 < episode.length < 200 for episode in result.episodes)
    assert result.environment["task"] == "reach-v3"


def test_the_batch_size_does_not_change_a_deterministic_policy() -> None:
    results = [
        facts(evaluate_policy(acting(Expert(chunk=3)), SPEC, episodes=4, seed=0, batch_size=size)) for size in (1, 3, 4)
    ]
    assert results[0] == results[1] == results[2]


def test_a_policy_that_samples_repeats_exactly() -> None:
    def run(seed: int) -> list[tuple[int, int, bool, float, int]]:
        return facts(evaluate_policy(acting(Expert(noise=0.5)), SPEC, episodes=3, seed=seed, batch_size=2))

    torch.manual_seed(1)
    first = run(0)
    torch.manual_seed(2)
    assert first == run(0)
    assert first != run(1)


def test_training_goes_on_as_if_nothing_had_happened() -> None:
    policy = Expert(noise=0.1).train()
    policy.frozen.eval()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = (torch.rand(1).item(), np.random.rand(), random.random())
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    evaluate_policy(acting(policy), SPEC, episodes=2)
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected
    assert (policy.training, policy.trained.training, policy.frozen.training) == (True, True, False)


def test_an_episode_that_never_succeeds_ends_at_the_limit() -> None:
    spec = EnvironmentSpec("metaworld", "reach-v3", max_steps=7)
    result = evaluate_policy(acting(Expert()), spec, episodes=2)
    assert [(episode.length, episode.success) for episode in result.episodes] == [(7, False), (7, False)]
    assert result.success_rate.value == 0.0


def test_ready_made_environments_are_used_and_stay_open() -> None:
    spec = EnvironmentSpec("metaworld", "reach-v3", {"observation.environment_state": (39,)})
    environments = make_environments(spec, 2)
    one = evaluate_policy(acting(Expert()), spec, episodes=3, environments=environments)
    two = evaluate_policy(acting(Expert()), spec, episodes=3, environments=environments)
    assert facts(one) == facts(two) == facts(evaluate_policy(acting(Expert()), SPEC, episodes=3))


def test_videos_play_and_are_named_in_the_result(tmp_path: Path) -> None:
    import av

    result = evaluate_policy(acting(Expert()), SPEC, episodes=3, batch_size=2, videos=2, folder=tmp_path, seed=0)
    assert result.videos == ["episode-000.mp4", "episode-001.mp4"]
    assert [episode.video for episode in result.episodes] == [*result.videos, None]
    with av.open(str(tmp_path / "episode-000.mp4")) as video:
        stream = video.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate or 0) == 20
    assert pictures[0].shape == (48, 64, 3)
    # Every fourth step, the last one, and that one held for 0.7 s.
    assert len(pictures) == -(-result.episodes[0].length // 4) + 1 + 14


def test_an_image_arrives_as_lerobot_gives_it() -> None:
    seen: list[dict[str, Any]] = []

    class Watching(Expert):
        def select_action(self, batch: dict[str, Any]) -> torch.Tensor:
            seen.append(batch)
            return super().select_action(batch)

    watching = acting(Watching(), **{"observation.image": (3, 32, 48)})
    spec = EnvironmentSpec("metaworld", "reach-v3", max_steps=2, shadows=False)
    evaluate_policy(watching, spec, episodes=2)
    image = seen[0]["observation.image"]
    assert (image.shape, image.dtype) == ((2, 3, 32, 48), torch.float32)
    assert 0 <= image.min() < image.max() <= 1
    assert seen[0]["task"] == ["Reach a goal position"] * 2


def test_names_can_be_mapped() -> None:
    loaded = acting(Expert())
    loaded.config.input_features = {"observation.everything": SimpleNamespace(shape=(39,))}
    mapping = {"observation.environment_state": "observation.everything"}
    result = evaluate_policy(loaded, SPEC, episodes=1, rename_map=mapping)
    assert result.episodes[0].success


def test_actions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SimulationError, match="7 dimensions"):
        evaluate_policy(acting(Expert(), action=7), SPEC, episodes=1)


def test_a_policy_that_gives_nan_is_refused() -> None:
    with pytest.raises(SimulationError, match="NaN"):
        evaluate_policy(acting(Expert(noise=float("nan"))), SPEC, episodes=1)
