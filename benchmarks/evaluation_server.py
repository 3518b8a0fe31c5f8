"""One side of `evaluation_speed.py`: rolls a policy out as it is told on standard input, one JSON line a time.

    python benchmarks/evaluation_server.py etude|lerobot CHECKPOINT DEVICE

Staying alive between settings, it leaves loading libraries and weights out of the measured time. Lines in:
`{"environments": 4, "processes": 2, "videos": 0, "episodes": 16, "seed": 1000}` (for LeRobot, 2 or more processes
mean its asynchronous environments, one process each). Lines out: seconds, steps, episodes and their rewards.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PICTURE = 384
"""Height and width of the videos' pictures, LeRobot's default for PushT."""

type Work = Callable[[dict[str, int], Path], dict[str, Any]]


def etude_server(checkpoint: str, device: str) -> Work:
    """Ours: `evaluate_policy`, environments made and closed within."""
    from etude.evaluation.rollouts import evaluate_policy
    from etude.policies import load_policy
    from etude.simulation import EnvironmentSpec

    loaded = load_policy(checkpoint, device)
    spec = EnvironmentSpec("pusht", video_size=(PICTURE, PICTURE))

    def work(setting: dict[str, int], folder: Path) -> dict[str, Any]:
        result = evaluate_policy(
            loaded,
            spec,
            episodes=setting["episodes"],
            seed=setting["seed"],
            batch_size=setting["environments"],
            processes=max(1, setting["processes"]),
            videos=setting["videos"],
            folder=folder,
        )
        return {
            "rewards": [episode.total_reward for episode in result.episodes],
            "steps": sum(episode.length for episode in result.episodes),
            "videos": len(list(folder.rglob("*.mp4"))),
        }

    return work


def lerobot_server(checkpoint: str, device: str) -> Work:
    """LeRobot's: what `lerobot-eval` does after it has read its flags, with as many videos as we are asked for."""
    import multiprocessing

    import torch
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.envs import close_envs, make_env, make_env_pre_post_processors
    from lerobot.envs.configs import PushtEnv
    from lerobot.policies import make_policy, make_pre_post_processors
    from lerobot.scripts import lerobot_eval
    from lerobot.utils.random_utils import set_seed

    multiprocessing.set_forkserver_preload(["lerobot_pusht"])
    environment = PushtEnv(visualization_height=PICTURE, visualization_width=PICTURE)
    config = PreTrainedConfig.from_pretrained(checkpoint, cli_overrides=[f"--device={device}"])
    config.pretrained_path = Path(checkpoint)
    policy = make_policy(cfg=config, env_cfg=environment)
    policy.eval()
    overrides = {"device_processor": {"device": device}, "rename_observations_processor": {"rename_map": {}}}
    before, after = make_pre_post_processors(config, pretrained_path=checkpoint, preprocessor_overrides=overrides)
    env_before, env_after = make_env_pre_post_processors(env_cfg=environment, policy_cfg=config)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    lengths: list[int] = []
    rollout = lerobot_eval.rollout

    def counting_rollout(*given: Any, **named: Any) -> dict[str, Any]:
        played: dict[str, Any] = rollout(*given, **named)
        lengths.extend((played["done"].int().argmax(dim=1) + 1).tolist())
        return played

    lerobot_eval.rollout = counting_rollout

    def work(setting: dict[str, int], folder: Path) -> dict[str, Any]:
        set_seed(setting["seed"])
        lengths.clear()
        environments = make_env(environment, n_envs=setting["environments"], use_async_envs=setting["processes"] > 1)
        with torch.no_grad():
            info = lerobot_eval.eval_policy_all(
                envs=environments,
                policy=policy,
                env_preprocessor=env_before,
                env_postprocessor=env_after,
                preprocessor=before,
                postprocessor=after,
                n_episodes=setting["episodes"],
                max_episodes_rendered=setting["videos"],
                videos_dir=folder,
                start_seed=setting["seed"],
            )
        close_envs(environments)
        return {
            "rewards": info["per_task"][0]["metrics"]["sum_rewards"],
            "steps": sum(lengths[: setting["episodes"]]),
            "videos": len(list(folder.rglob("*.mp4"))),
        }

    return work


def main() -> int:
    """Answer settings until standard input ends."""
    side, checkpoint, device = sys.argv[1:4]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print goes to standard error
    work = (etude_server if side == "etude" else lerobot_server)(checkpoint, device)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            started = time.perf_counter()
            answer = work(json.loads(line), Path(folder))
            answer["wall_s"] = time.perf_counter() - started
        print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
