"""A small policy, saved as LeRobot saves one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A run of LeRobot's layout with the checkpoints 10 and 20; no `run.json`."""
    run = tmp_path / "run"
    for step in ("000010", "000020"):
        save_act(run / "checkpoints" / step / "pretrained_model", seed=int(step))
    (run / "checkpoints" / "last").symlink_to("000020")
    (run / "checkpoints" / "best").symlink_to("000010")
    return run


def save_act(folder: Path, seed: int = 0, **settings: Any) -> Any:
    """Write a tiny ACT with its processors; returns the policy."""
    import torch
    from lerobot.configs import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors

    state = PolicyFeature(FeatureType.STATE, (4,))
    config = ACTConfig(
        input_features={
            "observation.state": state,
            "observation.environment_state": PolicyFeature(FeatureType.ENV, (39,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (4,))},
        device="cpu",
        **{
            "chunk_size": 4,
            "n_action_steps": 2,
            "dim_model": 16,
            "n_heads": 2,
            "dim_feedforward": 16,
            "n_encoder_layers": 1,
            "use_vae": False,
            **settings,
        },
    )
    torch.manual_seed(seed)
    policy = ACTPolicy(config)
    statistics = {
        name: {"mean": torch.zeros(size), "std": torch.ones(size)}
        for name, size in (("observation.state", 4), ("observation.environment_state", 39), ("action", 4))
    }
    policy.save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=statistics):
        processor.save_pretrained(folder)
    return policy
