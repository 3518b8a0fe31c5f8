"""Which checkpoint is meant, and where it comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etude.errors import RegistryError
from etude.registry.candidate import find_candidate
from etude.registry.tracing import trace
from etude.runs.folder import RunFolder
from tests.registry.handmade import COMMIT, FINGERPRINT, make_run, save_rollouts, write_policy


def test_the_best_checkpoint_of_a_run_else_the_last(run: RunFolder, tmp_path: Path) -> None:
    assert (find_candidate(run.root).step, find_candidate(run.root).named) == (100, "best")
    assert (find_candidate(run.root, "last").step, find_candidate(run.root, "last").named) == (200, "last")
    assert (find_candidate(run.root, "200").step, find_candidate(run.root, "200").named) == (200, None)
    other = make_run(tmp_path / "without-best", best=None)
    assert (find_candidate(other.root).step, find_candidate(other.root).named) == (200, "last")


@pytest.mark.parametrize("inside", ["checkpoints/000200", "checkpoints/last", "checkpoints/last/pretrained_model"])
def test_a_checkpoint_leads_to_its_run(run: RunFolder, inside: str) -> None:
    candidate = find_candidate(run.root / inside)
    assert candidate.step == 200
    assert trace(candidate).lineage.run["name"] == run.root.name


def test_a_folder_of_its_own(tmp_path: Path) -> None:
    write_policy(tmp_path / "policy")
    candidate = find_candidate(tmp_path / "policy")
    candidate.verify()
    lineage = trace(candidate).lineage
    assert candidate.step is None
    assert lineage.dataset == {"repo_id": "lab/drawer", "version": "v3.0"}  # from train_config.json
    assert lineage.policy == {"type": "act"}


def test_the_same_files_have_the_same_digest_wherever_they_lie(run: RunFolder, tmp_path: Path) -> None:
    write_policy(tmp_path / "policy", seed=100)
    first = trace(find_candidate(tmp_path / "policy")).lineage
    assert first.digest == trace(find_candidate(run.root)).lineage.digest
    assert first.digest != trace(find_candidate(run.root, "last")).lineage.digest


@pytest.mark.parametrize(
    ("path", "step", "said"),
    [
        ("nowhere", None, "there is no folder"),
        ("empty", None, "holds no policy"),
        ("RUN", "300", "no checkpoint 300; it has 100, 200"),
        ("RUN", "bset", "no checkpoint bset"),
        ("RUN/checkpoints/000100", "100", "is no run folder"),
    ],
)
def test_what_cannot_be_is_refused(run: RunFolder, tmp_path: Path, path: str, step: str | None, said: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RegistryError, match=said):
        find_candidate(Path(path.replace("RUN", str(run.root))) if "RUN" in path else tmp_path / path, step)


def test_a_run_without_a_checkpoint(tmp_path: Path) -> None:
    run = make_run(tmp_path / "begun", steps=(), best=None)
    with pytest.raises(RegistryError, match="no checkpoint yet"):
        find_candidate(run.root)


def test_a_byte_that_changed_is_refused(run: RunFolder) -> None:
    candidate = find_candidate(run.root)
    weights = candidate.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    with pytest.raises(RegistryError, match=r"model\.safetensors is not what was written"):
        candidate.verify()


def test_everything_that_led_to_it(run: RunFolder) -> None:
    save_rollouts(run, 100, 0.8)
    traced = trace(find_candidate(run.root))
    lineage = traced.lineage
    assert lineage.dataset["repo_id"] == "lab/drawer"
    assert lineage.dataset["version"] == "v3.0"
    assert lineage.dataset["fingerprint"] == FINGERPRINT
    assert lineage.git == {"commit": COMMIT, "dirty": False}
    assert lineage.packages["lerobot"] == "0.6.1"
    assert lineage.checkpoint["step"] == 100
    assert len(lineage.checkpoint["seal"]) == 64
    assert lineage.evaluation["success_rate"]["value"] == 0.8
    assert lineage.evaluation["episodes"] == 10
    assert traced.documents["config.json"]["policy"] == {"type": "act"}
    assert "training_state/step.json" not in lineage.files
    assert "model.safetensors" in lineage.files


def test_the_newest_evaluation_of_this_checkpoint(run: RunFolder) -> None:
    save_rollouts(run, 100, 0.2, when="2026-01-02T00:00:00+00:00")
    save_rollouts(run, 100, 0.4, when="2026-01-03T00:00:00+00:00")
    save_rollouts(run, 200, 0.9, when="2026-01-04T00:00:00+00:00")
    broken = run.new_evaluation("broken")
    broken.mkdir()
    (broken / "result.json").write_text("{")
    assert trace(find_candidate(run.root)).lineage.evaluation["success_rate"]["value"] == 0.4
    assert trace(find_candidate(run.root, "200")).lineage.evaluation["success_rate"]["value"] == 0.9


def test_the_evaluation_that_was_named(run: RunFolder, tmp_path: Path) -> None:
    mine, other = save_rollouts(run, 100, 0.2), save_rollouts(run, 200, 0.9)
    assert trace(find_candidate(run.root), mine.parent).lineage.evaluation["success_rate"]["value"] == 0.2
    with pytest.raises(RegistryError, match="judges checkpoint 200, not 100"):
        trace(find_candidate(run.root), other)
    (tmp_path / "other.json").write_text('{"kind": "poem"}')
    for nothing in (tmp_path / "nothing.json", tmp_path / "other.json"):
        with pytest.raises(RegistryError, match="is no evaluation result"):
            trace(find_candidate(run.root), nothing)


def test_no_secret_goes_along(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_the_test")
    manifest = run.manifest()
    manifest.config["hub"] = {"token": "plain-text-secret", "note": "with hf_secret_of_the_test in it"}
    manifest.save(run.manifest_path)
    traced = trace(find_candidate(run.root))
    text = json.dumps([traced.documents, traced.lineage.to_dict()])
    assert "hf_secret_of_the_test" not in text
    assert "plain-text-secret" not in text
