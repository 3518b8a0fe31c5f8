"""What the pages talk about, in small: a recorded dataset, a trained run, a config file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from etude.cli import main
from tests.rules.source import ROOT

__all__ = ["copy_workshop", "make_workshop", "place_names", "quickened"]

DATASET, RUN = Path("data/drawer"), Path("outputs/train/NAME")
OTHER_NAMES = {  # what the pages call them besides
    DATASET: ("DIR", "USER/NAME", "lerobot/pusht"),
    RUN: ("RUN", "OTHER_RUN", "outputs/train/FIRST", "outputs/train/SECOND", "outputs/train/A", "outputs/train/B"),
}
SMALL_POLICY = {
    "type": "act",
    "dim_model": 16,
    "n_heads": 2,
    "dim_feedforward": 16,
    "n_encoder_layers": 1,
    "n_vae_encoder_layers": 1,
    "latent_dim": 2,
    "chunk_size": 4,
    "n_action_steps": 4,
}
SHORT = ("--steps=4", "--save_freq=2", "--batch_size=4", "--max_eval_samples=8", "--mlflow.enable=false")


def quickened(words: Sequence[str]) -> list[str]:
    """The words after `etude`, with flags added that make seconds of it; of a flag given twice the last wins."""
    added: tuple[str, ...] = ()
    if words[0] == "train" and "--help" not in words:
        if "--resume" in words or "--resume=true" in words:
            added = ("--steps=6", "--mlflow.enable=false")
        elif any(word.startswith(("--policy.path", "--policy-repo-id", "--config")) for word in words):
            added = (*SHORT, "--policy.device=cpu")
        else:
            added = (*SHORT, "--config=small.yaml")
    elif tuple(words[:2]) == ("data", "record"):
        added = ("--episodes=10", "--root=data/recorded-now")
    elif words[0] == "evaluate" and not any(word.startswith("--dataset") for word in words):
        added = ("--episodes=2", "--videos=0", "--env.episode_length=20")
    elif words[0] == "report":
        words = [word for word in words if word != "--open"]
    return [*words, *added]


def make_workshop(folder: Path) -> None:
    """Record, train and evaluate by the commands themselves; `folder` is where the test stands."""
    place_names(folder)
    assert main(["data", "record", "--env.task=drawer-open-v3", "--episodes=10", f"--root={DATASET}"]) == 0
    train = ("train", f"--dataset.root={DATASET}", "--dataset.repo_id=local/drawer", f"--output_dir={RUN}")
    assert main(quickened(train)) == 0


def place_names(folder: Path) -> None:
    """The names that the pages use, and their config file, but no data behind them yet."""
    for path, names in OTHER_NAMES.items():
        for name in names:
            link = folder / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder / path)
    (folder / "small.yaml").write_text(yaml.safe_dump({"policy": SMALL_POLICY}), encoding="utf-8")
    page = (ROOT / "docs" / "train.md").read_text(encoding="utf-8")
    config = re.search(r"```yaml\n(.*?)```", page, re.S)
    assert config, "train.md shows a config file"
    settings = yaml.safe_load(config[1])
    settings["policy"] |= SMALL_POLICY
    settings["training"]["device"] = "cpu"
    settings.pop("wandb")
    (folder / "train.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def copy_workshop(made: Path, folder: Path) -> None:
    """A workshop of one's own, to write in."""
    place_names(folder)
    for path in (DATASET, RUN):
        shutil.copytree(made / path, folder / path, symlinks=True)
