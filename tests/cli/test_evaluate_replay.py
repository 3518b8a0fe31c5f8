"""`etude evaluate --dataset.root=DIR` on a small policy, in a run folder and outside one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etude.cli import main
from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.results import ReplayResult, load_result

EPISODE = 204  # one of the shortest


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> RunFolder:
    """A run folder whose only checkpoint is a small ACT that was never trained."""
    import torch
    from lerobot.configs import FeatureType
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
    from lerobot.policies.factory import get_policy_class, make_policy_config, make_pre_post_processors
    from lerobot.utils.feature_utils import dataset_to_policy_features

    from etude.data.sources import fingerprint

    root = shared_data / "pusht-human"
    meta = LeRobotDatasetMetadata("pusht-human", root=root)
    torch.manual_seed(0)
    config = make_policy_config(
        "act", device="cpu", dim_model=32, n_heads=2, dim_feedforward=32, n_encoder_layers=1, chunk_size=8,
        n_action_steps=8, use_vae=False, pretrained_backbone_weights=None, push_to_hub=False,
    )  # fmt: skip
    features = dataset_to_policy_features(meta.features)
    config.output_features = {key: f for key, f in features.items() if f.type is FeatureType.ACTION}
    config.input_features = {key: features[key] for key in ("observation.image", "observation.state")}
    processors = make_pre_post_processors(config, dataset_stats=meta.stats)
    folder = RunFolder.create(tmp_path_factory.mktemp("runs") / "act")

    def fill(target: Path) -> None:
        for part in (get_policy_class("act")(config), *processors):
            part.save_pretrained(target / "pretrained_model")

    folder.checkpoints.write(3, fill)
    RunManifest(
        kind="imitation", name="act", command=[], config={},
        dataset={"root": str(root), "fingerprint": fingerprint(root), "val_episodes": [EPISODE]},
    ).save(folder.manifest_path)  # fmt: skip
    return folder


def _evaluate(run: RunFolder, *flags: str) -> int:
    return main(["evaluate", f"--policy.path={run.root}", *flags, "--every=16"])


def test_the_held_out_episodes_are_replayed_into_the_run_folder(
    run: RunFolder, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _evaluate(run, f"--dataset.root={shared_data / 'pusht-human'}", "--json") == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert answer["dataset"]["episodes"] == [EPISODE]
    assert answer["policy"]["checkpoint_step"] == 3
    folder = run.evaluations / "replay-000003"
    assert answer["folder"] == str(folder)
    saved = load_result(folder)
    assert isinstance(saved, ReplayResult)
    assert saved.mae == answer["mae"]
    assert saved.command[:2] == ["etude", "evaluate"]
    assert main(["report", str(run.root)]) == 0
    assert "Cumulative position, episode 204" in run.report_path.read_text(encoding="utf-8")


def test_another_dataset_names_both_shapes(
    run: RunFolder, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _evaluate(run, f"--dataset.root={shared_data / 'cr5-real-v30'}", "--output_dir=unused") == 5
    error = capsys.readouterr().err
    assert "action is (7) in the dataset and (2) in the policy" in error
    assert "observation.images.top (480, 640, 3)" in error
    assert not Path("unused").exists()


def test_mistakes_are_refused_before_anything_is_loaded(
    run: RunFolder, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"--dataset.root={shared_data / 'pusht-human'}"
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    assert _evaluate(run, root, "--dataset.episodes=[0,x]") == 2
    assert _evaluate(run, root, "--dataset.episodes=[999]") == 4
    assert _evaluate(run, root, f"--output_dir={tmp_path / 'taken'}") == 6
    assert _evaluate(run, root, "--dataset.episods=[0]") == 2
    assert _evaluate(run, f"--dataset.root={tmp_path / 'nothing'}") == 4
    error = capsys.readouterr().err
    assert "999" in error
    assert "did you mean --dataset.episodes" in error
    assert "Traceback" not in error
