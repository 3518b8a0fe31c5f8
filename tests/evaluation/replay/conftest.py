"""Small policies of several types, built for the recorded demonstrations and never trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etude.evaluation.replay.recordings import Recording
from etude.policies import LoadedPolicy

SMALL: dict[str, dict[str, Any]] = {
    "act": {
        "dim_model": 32,
        "n_heads": 2,
        "dim_feedforward": 32,
        "n_encoder_layers": 1,
        "chunk_size": 8,
        "n_action_steps": 4,
        "use_vae": False,
    },
    "diffusion": {
        "down_dims": (16, 32),
        "num_inference_steps": 2,
        "spatial_softmax_num_keypoints": 4,
        "horizon": 8,
        "n_action_steps": 4,
    },
    "vqbet": {
        "gpt_n_layer": 1,
        "gpt_n_head": 1,
        "gpt_hidden_dim": 32,
        "gpt_input_dim": 32,
        "n_obs_steps": 3,
        "action_chunk_size": 4,
        "n_action_pred_token": 2,
    },
}


@pytest.fixture(scope="session")
def pusht(shared_data: Path) -> Recording:
    return Recording("pusht-human", shared_data / "pusht-human")


@pytest.fixture
def make_loaded(pusht: Recording) -> Any:
    """A function that builds a small policy of a type, as `policies.load_policy` would return it."""

    def make(policy_type: str) -> Any:
        import torch
        from lerobot.configs import FeatureType
        from lerobot.policies.factory import get_policy_class, make_policy_config, make_pre_post_processors
        from lerobot.utils.feature_utils import dataset_to_policy_features

        torch.manual_seed(0)
        config = make_policy_config(policy_type, device="cpu", pretrained_backbone_weights=None, **SMALL[policy_type])
        features = dataset_to_policy_features(pusht.features)
        config.output_features = {k: f for k, f in features.items() if f.type is FeatureType.ACTION}
        config.input_features = {k: f for k, f in features.items() if k in ("observation.image", "observation.state")}
        policy = get_policy_class(policy_type)(config).eval()
        before, after = make_pre_post_processors(config, dataset_stats=pusht.meta.stats)
        return LoadedPolicy(policy, before, after, config, path="nowhere", step=7)

    return make
