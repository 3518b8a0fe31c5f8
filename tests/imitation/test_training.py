"""What a run does: it learns, validates without a trace, keeps the best, and stops when it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from etude.errors import DatasetError, DeviceError, TrainingError
from tests.imitation.conftest import run, weights


def test_it_learns_and_leaves_a_whole_run_folder(flags: list[str], tmp_path: Path) -> None:
    root = tmp_path / "run"
    result, shown = run([*flags, "--steps=120", "--save_freq=60", "--eval_steps=40", f"--output_dir={root}"])
    train, val = shown.curve("train/loss"), shown.curve("val/loss")
    assert train[-1][1] < 0.6 * train[0][1]
    assert val[-1][1] < val[0][1]
    assert [step for step, _ in val] == [40, 80, 120]
    manifest = json.loads((root / "run.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["steps"] == {"planned": 120, "done": 120}
    dataset = manifest["dataset"]
    assert len(dataset["train_episodes"]) + len(dataset["val_episodes"]) == 12
    assert dataset["val_episodes"] == [10, 11]
    assert result.outcome.checkpoint.step == 120
    names = sorted(path.name for path in (root / "checkpoints").iterdir())
    assert set(names) >= {"000060", "000120", "best", "last"}


def test_validation_leaves_no_trace_in_training(flags: list[str], tmp_path: Path) -> None:
    common = [*flags, "--steps=30", "--save_freq=30"]
    run([*common, "--eval_steps=3", f"--output_dir={tmp_path / 'often'}"])
    run([*common, "--eval_steps=30", f"--output_dir={tmp_path / 'once'}"])
    assert weights(tmp_path / "often") == weights(tmp_path / "once")


def test_validation_has_every_term_of_the_loss_and_is_sample_weighted(flags: list[str], tmp_path: Path) -> None:
    """Batches of 7 and of 5 leave last batches of different sizes; the mean over samples does not depend on it."""
    found = []
    for batch in (7, 5):
        root = tmp_path / f"run{batch}"
        _, shown = run(
            [
                *flags, f"--batch_size={batch}", "--policy.use_vae=false", "--policy.optimizer_lr=0", "--steps=2",
                "--policy.optimizer_weight_decay=0", "--eval_steps=2", f"--output_dir={root}",
            ]
        )  # fmt: skip
        found.append(shown.curve("val/l1_loss")[0][1])
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    _, shown = run([*flags, "--steps=2", "--eval_steps=2", f"--output_dir={tmp_path / 'vae'}"])
    assert shown.curve("val/kld_loss")


def test_without_held_out_episodes_there_is_no_validation(flags: list[str], tmp_path: Path) -> None:
    _, shown = run([*flags, "--dataset.eval_split=0", "--steps=4", f"--output_dir={tmp_path / 'run'}"])
    assert not shown.curve("val/loss")
    assert not (tmp_path / "run" / "checkpoints" / "best").exists()


def test_early_stopping(flags: list[str], tmp_path: Path) -> None:
    result, _ = run(
        [
            *flags, "--steps=200", "--eval_steps=5", "--policy.optimizer_lr=0", "--policy.optimizer_weight_decay=0",
            "--early_stopping.patience=3", f"--output_dir={tmp_path / 'run'}",
        ]
    )  # fmt: skip
    assert result.outcome.status == "early"
    assert result.outcome.step == 20
    best = (tmp_path / "run" / "checkpoints" / "best").resolve().name
    assert best == "000005"


def test_accumulated_batches_equal_one_large_batch(flags: list[str], tmp_path: Path) -> None:
    """Also at the end of an epoch, and with ACT's mean over unpadded frames. Noise is off: it is drawn per batch."""
    still = [
        *flags,
        "--policy.use_vae=false",
        "--policy.dropout=0",
        "--steps=40",
        "--log_freq=1",
        "--save_freq=40",
    ]
    _, large = run([*still, "--batch_size=16", f"--output_dir={tmp_path / 'large'}"])
    _, split = run([*still, "--batch_size=4", "--gradient_accumulation_steps=4", f"--output_dir={tmp_path / 'split'}"])
    for (step, expected), (_, found) in zip(large.curve("train/loss"), split.curve("train/loss"), strict=True):
        assert found == pytest.approx(expected, rel=2e-4), step


def test_average_of_weights_is_validated_saved_and_resumed(flags: list[str], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    common = [
        *flags,
        "--ema.enable=true",
        "--ema.decay=0.9",
        "--steps=20",
        "--save_freq=5",
        "--eval_steps=10",
    ]
    run([*common, f"--output_dir={tmp_path / 'whole'}"])
    last = tmp_path / "whole" / "checkpoints" / "last"
    average = load_file(last / "pretrained_model" / "model.safetensors")
    own = load_file(last / "training_state" / "own_weights.safetensors")
    name = "model.action_head.weight"
    assert not torch.equal(average[name], own[name])

    class Stop(BaseException):
        pass

    def stop(step: int) -> None:
        if step == 13:
            raise Stop

    with pytest.raises(Stop):
        run([*common, f"--output_dir={tmp_path / 'killed'}"], on_step=stop)
    run(["--resume", str(tmp_path / "killed")])
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_nan_stops_with_the_step_the_episodes_and_the_last_good_checkpoint(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.data import batches

    original = batches.BatchSource.batch
    poisoned: list[Any] = []

    def batch(self: Any, rows: Any) -> Any:
        made = original(self, rows)
        if len(poisoned) == 7:
            made["action"][0, 0, 0] = float("nan")
        poisoned.append(made["episode_index"].tolist())
        return made

    monkeypatch.setattr(batches.BatchSource, "batch", batch)
    root = tmp_path / "run"
    with pytest.raises(TrainingError) as caught:
        run([*flags, "--dataset.eval_split=0", "--steps=20", "--save_freq=3", f"--output_dir={root}"])
    message = caught.value.message
    assert "step 8" in message
    assert "000006" in message
    assert all(str(episode) in message for episode in set(poisoned[7]))
    assert json.loads((root / "run.json").read_text())["status"] == "failed"
    assert (root / "checkpoints" / "last").resolve().name == "000006"


def test_learning_rate_schedules_and_clipping(flags: list[str], tmp_path: Path) -> None:
    _, shown = run(
        [
            *flags, "--lr_scheduler=cosine", "--lr_warmup_steps=5", "--grad_clip_norm=0.01", "--steps=20",
            "--log_freq=1", f"--output_dir={tmp_path / 'run'}",
        ]
    )  # fmt: skip
    rates = [value for _, value in shown.curve("train/lr")]
    assert max(rates) == pytest.approx(1e-3, rel=0.01)
    assert rates[0] < rates[4]
    assert rates[-1] < 0.05 * max(rates)


def test_bf16(flags: list[str], tmp_path: Path) -> None:
    _, shown = run([*flags, "--precision=bf16", "--steps=60", "--log_freq=10", f"--output_dir={tmp_path / 'run'}"])
    losses = [value for _, value in shown.curve("train/loss")]
    assert losses[-1] < losses[0]


def test_rollouts_decide_the_best(flags: list[str], tmp_path: Path) -> None:
    rates = {10: 0.2, 20: 0.9, 30: 0.4}
    argv = [
        *flags, "--steps=30", "--eval_steps=5", "--env.type=pusht", "--env_eval_freq=10", "--save_freq=30",
        f"--output_dir={tmp_path / 'run'}",
    ]  # fmt: skip

    def make(config: Any, folder: Any) -> Any:
        def rollout(policy: Any, pre: Any, post: Any, step: int) -> dict[str, float]:
            torch.rand(7)  # a rollout that draws random numbers
            return {"eval/success_rate": rates[step]}

        return rollout

    _, shown = run(argv, make_rollout=make)
    assert shown.curve("eval/success_rate") == list(rates.items())
    assert (tmp_path / "run" / "checkpoints" / "best").resolve().name == "000020"
    run([*(flag for flag in argv if "env" not in flag), f"--output_dir={tmp_path / 'without'}"])
    assert weights(tmp_path / "without") == weights(tmp_path / "run")


def test_fine_tuning_takes_the_weights_only(flags: list[str], tmp_path: Path) -> None:
    run([*flags, "--steps=20", "--save_freq=10", f"--output_dir={tmp_path / 'first'}"])
    result, shown = run(
        [
            flags[0], "--policy-repo-id", str(tmp_path / "first"), "--checkpoint-mode", "from-trained",
            "--policy.device=cpu", "--policy.optimizer_lr=0", "--policy.optimizer_weight_decay=0", "--steps=2",
            "--batch_size=8", "--mlflow.enable=false", f"--output_dir={tmp_path / 'second'}",
        ]
    )  # fmt: skip
    assert shown.start == 0
    assert result.manifest.lineage["policy"].startswith(str(tmp_path / "first"))
    from safetensors.torch import load_file

    first, second = (
        load_file(tmp_path / name / "checkpoints/last/pretrained_model/model.safetensors")
        for name in ("first", "second")
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_excluded_episodes_are_not_read(flags: list[str], tmp_path: Path) -> None:
    result, _ = run([*flags, "--dataset.exclude_episodes=[0,3]", "--steps=2", f"--output_dir={tmp_path / 'run'}"])
    dataset = result.manifest.dataset
    assert not {0, 3} & {*dataset["train_episodes"], *dataset["val_episodes"]}


def test_cuda_where_there_is_none(flags: list[str], tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match="cuda"):
        run([*flags, "--policy.device=cuda", f"--output_dir={tmp_path / 'run'}"])
    assert not (tmp_path / "run").exists()


def test_fp16_without_a_gpu(flags: list[str], tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="fp16"):
        run([*flags, "--precision=fp16", f"--output_dir={tmp_path / 'run'}"])


def test_broken_data_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tests.imitation.conftest import ACT, make_dataset

    data = make_dataset(tmp_path / "data")
    file = next((data / "data").glob("*/*.parquet"))
    table = pq.read_table(file)
    actions = [list(value) for value in table.column("action").to_pylist()]
    actions[5][0] = float("nan")
    column = pa.array(actions, type=table.schema.field("action").type)
    pq.write_table(table.set_column(table.schema.get_field_index("action"), "action", column), file)
    with pytest.raises(DatasetError, match="NaN"):
        run([f"--dataset.root={data}", *ACT, "--steps=2", f"--output_dir={tmp_path / 'run'}"])
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_shapes_that_do_not_fit_a_checkpoint(flags: list[str], tmp_path: Path, shared_data: Path) -> None:
    from etude.errors import CheckpointError

    run([*flags, "--steps=2", f"--output_dir={tmp_path / 'first'}"])
    with pytest.raises(CheckpointError, match=r"observation\.(state|environment_state)"):
        run(
            [
                f"--dataset.root={shared_data / 'pusht-human'}", f"--policy.path={tmp_path / 'first'}",
                "--steps=2", "--mlflow.enable=false", f"--output_dir={tmp_path / 'second'}",
            ]
        )  # fmt: skip


def test_an_upload_that_fails_loses_nothing(flags: list[str], tmp_path: Path) -> None:
    from etude.errors import EtudeError

    root = tmp_path / "run"
    with pytest.raises(EtudeError, match="the run is complete") as caught:
        run([*flags, "--policy.push_to_hub=true", "--policy.repo_id=some/policy", "--steps=2", f"--output_dir={root}"])
    assert f"hf upload some/policy {root}" in (caught.value.hint or "")
    assert json.loads((root / "run.json").read_text())["status"] == "finished"
    assert weights(root)


@pytest.mark.parametrize("flag", ["--save_checkpoint_to_hub=true", "--sample_weighting.type=rabc"])
def test_what_only_lerobots_trainer_does_is_refused(flags: list[str], tmp_path: Path, flag: str) -> None:
    from etude.errors import UsageError

    with pytest.raises(UsageError, match="not supported"):
        run([*flags, "--policy.repo_id=some/policy", flag, "--steps=2", f"--output_dir={tmp_path / 'run'}"])
