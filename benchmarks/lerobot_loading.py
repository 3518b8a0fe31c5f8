"""LeRobot's loader in a process of its own, made exactly as `lerobot-train` makes it.

    python benchmarks/lerobot_loading.py [--first FILE] FLAGS (those of lerobot-train)

Each setting needs a fresh process: a video that the main process has decoded from breaks torchcodec in workers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def make_loader(config: Any) -> tuple[Iterator[dict[str, Any]], int, str]:
    """The endless batches, how many of them may lie ready, and the device they end on.

    Args:
        config: LeRobot's `TrainPipelineConfig`.
    """
    import torch
    from accelerate import Accelerator
    from lerobot.datasets import EpisodeAwareSampler
    from lerobot.datasets.factory import make_train_eval_datasets
    from lerobot.scripts.lerobot_train import _dataloader_worker_kwargs
    from lerobot.utils.random_utils import set_seed
    from lerobot.utils.utils import cycle

    config.validate()
    accelerator = Accelerator(step_scheduler_with_optimizer=False, cpu=config.policy.device == "cpu")
    set_seed(config.seed, accelerator=accelerator)
    dataset, _ = make_train_eval_datasets(config)
    sampler = EpisodeAwareSampler(
        dataset.meta.episodes["dataset_from_index"],
        dataset.meta.episodes["dataset_to_index"],
        episode_indices_to_use=dataset.episodes,
        drop_n_last_frames=getattr(config.policy, "drop_n_last_frames", 0),
        shuffle=True,
        seed=config.seed,
        absolute_to_relative_idx=dataset.absolute_to_relative_idx,
    )
    loader = torch.utils.data.DataLoader(
        dataset,
        num_workers=config.num_workers,
        batch_size=config.batch_size,
        sampler=sampler,
        pin_memory=accelerator.device.type == "cuda",
        drop_last=False,
        **_dataloader_worker_kwargs(config),
    )
    ready = config.num_workers * (config.prefetch_factor + 1) + 1
    return cycle(accelerator.prepare(loader)), ready, accelerator.device.type


def main() -> None:
    """Serve measurements."""
    first = None
    if sys.argv[1] == "--first":
        first = Path(sys.argv[2])
        del sys.argv[1:3]
    from lerobot.configs import parser
    from lerobot.configs.train import TrainPipelineConfig
    from lerobot.scripts import lerobot_train  # noqa: F401  registers the policies
    from loader_process import serve

    # The annotation is what LeRobot's parser goes by, and it must be the class, not its name.
    def run(config) -> None:  # type: ignore[no-untyped-def]
        batches, ready, device = make_loader(config)
        serve(batches, ready=ready, device=device, first=first)

    run.__annotations__["config"] = TrainPipelineConfig
    parser.wrap()(run)()


if __name__ == "__main__":
    main()
