"""Does a checkpoint of `etude train` act the same when LeRobot loads it?

    python benchmarks/policy_equality.py RUN [--frames 32] [--json FILE]

Loads the last checkpoint of RUN twice: with étude's `load_policy`, and with LeRobot's own `from_pretrained` and
processors, as `lerobot-eval` does. Feeds both the same recorded frames and prints the largest difference between
their action chunks, in the action's own unit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
LIMIT = 1e-5


def lerobot_chunks(folder: Path, batches: list[dict[str, Any]]) -> list[Any]:
    """Action chunks `(batch, chunk, action)` by LeRobot alone."""
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.policies.factory import get_policy_class, make_pre_post_processors

    config = PreTrainedConfig.from_pretrained(folder)
    policy = get_policy_class(config.type).from_pretrained(folder, config=config)
    before, after = make_pre_post_processors(config, pretrained_path=str(folder))
    return _chunks(policy, before, after, batches)


def etude_chunks(run: Path, batches: list[dict[str, Any]]) -> list[Any]:
    """The same by étude."""
    from etude.policies import load_policy

    loaded = load_policy(run)
    return _chunks(loaded.policy, loaded.preprocessor, loaded.postprocessor, batches)


def _chunks(policy: Any, before: Any, after: Any, batches: list[dict[str, Any]]) -> list[Any]:
    import torch

    chunks = []
    for batch in batches:
        policy.reset()
        torch.manual_seed(0)  # diffusion starts from noise
        with torch.no_grad():
            actions = [after(policy.select_action(before(dict(batch)))) for _ in range(policy.config.n_action_steps)]
        chunks.append(torch.stack(actions, dim=1))
    return chunks


def recorded_frames(run: Path, count: int) -> list[dict[str, Any]]:
    """Single observations from the run's own dataset, spread over it, with a batch axis."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = json.loads((run / "run.json").read_text())["dataset"]
    frames = LeRobotDataset(dataset["repo_id"], root=dataset["root"])
    picked = [frames[round(index * (len(frames) - 1) / (count - 1))] for index in range(count)]
    return [
        {
            key: value.unsqueeze(0) if hasattr(value, "unsqueeze") else [value]
            for key, value in frame.items()
            if key.startswith("observation.") or key == "task"
        }
        for frame in picked
    ]


def main() -> int:
    """Compare; exit code 1 when an action differs by more than 1e-5."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    batches = recorded_frames(arguments.run, arguments.frames)
    ours = etude_chunks(arguments.run, batches)
    theirs = lerobot_chunks(arguments.run / "checkpoints" / "last" / "pretrained_model", batches)
    largest = max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))
    print(
        f"{arguments.run}: {len(batches)} frames, largest difference between actions {largest:.1e} (limit {LIMIT:.0e})"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"frames": len(batches), "largest_difference": largest}))
    return int(largest > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
