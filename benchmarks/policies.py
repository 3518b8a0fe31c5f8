"""The policies that the benchmarks train, as flags that both trainers take."""

from __future__ import annotations

ACT_SMALL = [
    "--policy.type=act",
    "--policy.chunk_size=50",
    "--policy.n_action_steps=50",
    "--policy.dim_model=128",
    "--policy.n_heads=4",
    "--policy.dim_feedforward=256",
    "--policy.n_encoder_layers=2",
    "--policy.n_vae_encoder_layers=2",
]
# Crops before it looks, so that a CPU's step is short, and the data has to be quick.
DIFFUSION_SMALL = [
    "--policy.type=diffusion",
    "--policy.crop_shape=[84,84]",
    "--policy.down_dims=[64,128]",
    "--policy.diffusion_step_embed_dim=64",
    "--policy.spatial_softmax_num_keypoints=16",
]
ACT_MEDIUM = [
    "--policy.type=act",
    "--policy.chunk_size=50",
    "--policy.n_action_steps=50",
    "--policy.dim_model=256",
    "--policy.dim_feedforward=1024",
]
POLICIES = {
    "act-small": ACT_SMALL,
    "act-medium": ACT_MEDIUM,
    "act": ["--policy.type=act"],
    "diffusion-small": DIFFUSION_SMALL,
    "diffusion": ["--policy.type=diffusion"],
}


def flags(policy: str, device: str) -> list[str]:
    """Flags of a policy by its name in `POLICIES`; nothing is downloaded and nothing uploaded."""
    return [
        *POLICIES[policy],
        f"--policy.device={device}",
        "--policy.push_to_hub=false",
        "--policy.pretrained_backbone_weights=null",
    ]
