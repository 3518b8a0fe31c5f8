"""Actions handed out without looking, and rows that begin anew, change nothing that a policy sees or does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from etude.evaluation.acting import Player
from etude.evaluation.rollouts import evaluate_policy
from etude.runs.results import RolloutResult
from etude.simulation import EnvironmentSpec

STATE, KEYPOINTS, IMAGE = "observation.state", "observation.environment_state", "observation.image"


def features(names: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    from lerobot.configs.types import FeatureType, PolicyFeature

    every = {
        STATE: PolicyFeature(FeatureType.STATE, (2,)),
        KEYPOINTS: PolicyFeature(FeatureType.ENV, (16,)),
        IMAGE: PolicyFeature(FeatureType.VISUAL, (3, 64, 64)),
    }
    return {name: every[name] for name in names}, {"action": PolicyFeature(FeatureType.ACTION, (2,))}


def act_policy(**settings: Any) -> Any:
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy

    inputs, outputs = features([STATE, KEYPOINTS])
    small = {"dim_model": 16, "n_heads": 2, "dim_feedforward": 16, "n_encoder_layers": 1, "n_vae_encoder_layers": 1}
    config = ACTConfig(
        input_features=inputs,
        output_features=outputs,
        device="cpu",
        **{**small, "chunk_size": 7, "n_action_steps": 7, **settings},
    )
    torch.manual_seed(0)
    return acting(ACTPolicy(config), config)


def diffusion_policy(inputs: list[str]) -> Any:
    """With the noise taken from nowhere, so that a trajectory depends on the observations alone."""
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy

    given, outputs = features(inputs)
    config = DiffusionConfig(
        input_features=given,
        output_features=outputs,
        device="cpu",
        horizon=16,
        n_action_steps=8,
        down_dims=(8, 16),
        n_groups=4,
        crop_shape=None,
        diffusion_step_embed_dim=8,
        noise_scheduler_type="DDIM",
        num_inference_steps=2,
        pretrained_backbone_weights=None,
        spatial_softmax_num_keypoints=4,
    )
    torch.manual_seed(0)
    policy = DiffusionPolicy(config)
    sample = policy.diffusion.conditional_sample
    policy.diffusion.conditional_sample = lambda batch, **named: sample(  # type: ignore[method-assign]
        batch, **{**named, "noise": torch.zeros(batch, config.horizon, 2)}
    )
    return acting(policy, config)


def acting(policy: Any, config: Any) -> Any:
    from lerobot.policies.factory import make_pre_post_processors

    def numbers(size: int) -> dict[str, torch.Tensor]:
        values = {"min": 0.0, "max": 512.0, "mean": 256.0, "std": 128.0}
        return {name: torch.full((size,), value) for name, value in values.items()}

    statistics = {STATE: numbers(2), KEYPOINTS: numbers(16), "action": numbers(2)}
    statistics[IMAGE] = {"mean": torch.full((3, 1, 1), 0.5), "std": torch.ones(3, 1, 1)}
    before, after = make_pre_post_processors(config, dataset_stats=statistics)
    return SimpleNamespace(
        policy=policy.eval(),
        preprocessor=before,
        postprocessor=after,
        config=config,
        describe=lambda: {"path": None, "type": config.type, "checkpoint_step": 1},
    )


def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.evaluation.acting._CHUNKING", frozenset())


def play(loaded: Any, episodes: int = 5, **settings: Any) -> RolloutResult:
    spec = EnvironmentSpec("pusht", max_steps=settings.pop("max_steps", 30))
    return evaluate_policy(loaded, spec, episodes=episodes, **settings)


def rewards(result: RolloutResult) -> list[float]:
    assert [episode.seed for episode in result.episodes] == [1000 + index for index in range(len(result.episodes))]
    return [episode.total_reward for episode in result.episodes]


POLICIES = pytest.mark.parametrize(
    "make",
    [act_policy, lambda: diffusion_policy([STATE, KEYPOINTS]), lambda: diffusion_policy([STATE, IMAGE])],
    ids=["act", "diffusion", "diffusion-image"],
)


@POLICIES
def test_looking_only_when_the_policy_does_changes_nothing(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = make()
    seldom = play(loaded, episodes=2, batch_size=2)
    always_looking(monkeypatch)
    assert rewards(seldom) == rewards(play(loaded, episodes=2, batch_size=2))


@POLICIES
def test_an_episode_is_the_same_beside_any_others(make: Any) -> None:
    """Up to the rounding of arithmetic on batches of another size."""
    loaded = make()
    alone = rewards(play(loaded, batch_size=1))
    for size in (2, 4, 16):
        np.testing.assert_allclose(rewards(play(loaded, batch_size=size)), alone, rtol=1e-3)


def test_processes_change_nothing() -> None:
    loaded = act_policy()
    assert rewards(play(loaded, batch_size=4)) == rewards(play(loaded, batch_size=4, processes=2))


@pytest.mark.parametrize("make", [act_policy, lambda: diffusion_policy([STATE, KEYPOINTS])], ids=["act", "diffusion"])
def test_a_row_that_begins_while_others_go_on_is_the_same_as_one_alone(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.simulation import pusht
    from etude.simulation.base import Outcome

    reset, act = pusht.PushT.reset, pusht.PushT.act

    def counting_reset(self: Any, seed: int) -> Any:
        self.steps_left = 5 + 11 * (seed % 3)
        return reset(self, seed)

    def ending_act(self: Any, action: Any) -> Outcome:
        outcome = act(self, action)
        self.steps_left -= 1
        return Outcome(outcome.reward, self.steps_left == 0, self.steps_left == 0)

    monkeypatch.setattr(pusht.PushT, "reset", counting_reset)
    monkeypatch.setattr(pusht.PushT, "act", ending_act)
    loaded = make()
    alone, beside = play(loaded, episodes=9, batch_size=1), play(loaded, episodes=9, batch_size=3)
    assert {episode.length for episode in alone.episodes} == {5, 16, 27}
    assert [e.length for e in beside.episodes] == [e.length for e in alone.episodes]
    np.testing.assert_allclose(rewards(beside), rewards(alone), rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "looks"),
    [
        (act_policy, [0, 7, 14]),  # chunks of 7
        (lambda: act_policy(temporal_ensemble_coeff=0.01, n_action_steps=1), list(range(20))),
        (lambda: diffusion_policy([STATE, KEYPOINTS]), [0, 7, 8, 15, 16]),  # chunks of 8, a window of 2
    ],
    ids=["act", "act-ensembling", "diffusion"],
)
def test_no_more_is_drawn_than_is_read(make: Any, looks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    from etude.simulation import pusht

    made, looked = [], []
    act, observe = pusht.PushT.act, pusht.PushT.observe

    def counting_act(self: Any, action: Any) -> Any:
        made.append(action)
        return act(self, action)

    def counting_observe(self: Any) -> Any:
        looked.append(len(made))
        return observe(self)

    monkeypatch.setattr(pusht.PushT, "act", counting_act)
    monkeypatch.setattr(pusht.PushT, "observe", counting_observe)
    play(make(), episodes=1, max_steps=20)
    assert looked == looks


def test_a_policy_with_processors_of_its_own_sees_every_step() -> None:
    loaded = act_policy()
    loaded.preprocessor.steps.append(lambda transition: transition)
    assert not Player(loaded, "").between_chunks
    assert Player(act_policy(), "").between_chunks
