"""Flags, files and defaults: what wins, what is read, what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from etude import config
from etude.config.files import dump_yaml, read_config
from etude.config.nested import get, put
from etude.config.scalars import parse_scalar
from etude.errors import UsageError

DATA = "--dataset.repo_id=user/data"
ALPHABET = st.characters(min_codepoint=32, max_codepoint=126)
NAMES = st.sampled_from(
    ["batch_size", "policy.chunk_size", "policy.optimizer_lr", "wandb.enable", "seed", "dataset.revision"]
)
VALUES = st.one_of(st.integers(0, 10**6), st.booleans(), st.floats(0, 1e3), st.just(None))
SETTINGS = st.dictionaries(NAMES, VALUES, max_size=6)


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in flat.items():
        put(values, tuple(key.split(".")), value)
    return values


@given(typed=SETTINGS, filed=SETTINGS, as_yaml=st.booleans(), sections=st.booleans())
def test_flags_win_over_the_file_and_the_file_over_defaults(
    tmp_path_factory: pytest.TempPathFactory,
    typed: dict[str, Any],
    filed: dict[str, Any],
    as_yaml: bool,
    sections: bool,
) -> None:
    values = nest(filed)
    if sections:
        values["training"] = {name: values.pop(name) for name in ("batch_size", "seed") if name in values}
    file = tmp_path_factory.mktemp("config") / ("c.yaml" if as_yaml else "c.json")
    file.write_text(dump_yaml(values) if as_yaml else json.dumps(values))
    flags = [f"--{key}={json.dumps(value)}" for key, value in typed.items()]
    resolved = config.resolve([DATA, f"--config={file}", *flags])
    for key, value in {**filed, **typed}.items():
        assert get(resolved.values, key) == value
        assert resolved.source(key).startswith("command line" if key in typed else "file ")
    assert resolved.sources["save_freq"] == "default"


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()))
def test_a_value_survives_being_typed(value: Any) -> None:
    text = "null" if value is None else str(value)
    assert parse_scalar(text) == value


@given(st.dictionaries(st.text(ALPHABET, min_size=1), st.one_of(st.text(ALPHABET), VALUES), max_size=5))
def test_yaml_reads_back_what_it_wrote(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    file = tmp_path_factory.mktemp("yaml") / "c.yaml"
    file.write_text(dump_yaml(values))
    assert read_config(file).values == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("None", None),
        ("null", None),
        ("none", None),
        ("True", True),
        ("false", False),
        ("007", "007"),
        ("yes", "yes"),
        ("[0, 1]", [0, 1]),
        ("[1e-3, a]", [1e-3, "a"]),
        ("0,1,2", [0, 1, 2]),
        ("a,b", "a,b"),
        ('{"a.b": "c.d"}', {"a.b": "c.d"}),
        ("[unclosed", "[unclosed"),
        ("-1", -1),
        ("", ""),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "episodes"),
    [("0:4", [0, 1, 2, 3]), ("0,2,5:7", [0, 2, 5, 6]), ("[1, 2]", [1, 2]), ("7", [7]), ("null", None)],
)
def test_episodes(text: str, episodes: list[int] | None) -> None:
    assert config.resolve([DATA, "--dataset.episodes", text]).values["dataset"]["episodes"] == episodes


@pytest.mark.parametrize("text", ["a", "4:2", "-1", "0:x", "1.5", "true"])
def test_episodes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="episode numbers"):
        config.resolve([DATA, f"--dataset.episodes={text}"])


def test_the_last_flag_wins() -> None:
    values = config.resolve([DATA, "--batch_size=1", "--batch-size", "2", "--training.batch_size=3"]).values
    assert values["batch_size"] == 3


def test_forms_of_flags() -> None:
    resolved = config.resolve(["-d", "user/data", "--policy.use_vae", "--steps", "5", "--seed", "-1", "--wandb.enable"])
    assert resolved.values["policy"]["use_vae"] is True
    assert resolved.values["wandb"]["enable"] is True
    assert (resolved.values["steps"], resolved.values["seed"]) == (5, -1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train.yaml"],
        [DATA, "--", "x"],
        [DATA, "-"],
        [],
        ["--policy.type=act"],
        [DATA, "--config"],
        [DATA, "--log_level=LOUD"],
    ],
)
def test_arguments_that_make_no_sense(arguments: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        config.resolve(arguments)
    assert caught.value.hint


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = config.resolve([DATA]).values
    assert values["policy"] == {"type": "act", "push_to_hub": False}
    assert values["dataset"] == {"repo_id": "user/data", "eval_split": 0.1}
    assert (values["save_freq"], values["eval_steps"], values["log_freq"]) == (5000, 5000, 200)
    assert values["output_dir"] == "outputs/train/lerobot-act-training"
    Path(values["output_dir"]).mkdir(parents=True)
    assert config.resolve([DATA]).values["output_dir"] == "outputs/train/lerobot-act-training-2"
    explicit = config.resolve([DATA, "--output_dir=outputs/train/lerobot-act-training"])
    assert explicit.values["output_dir"] == "outputs/train/lerobot-act-training"


@pytest.mark.parametrize(
    ("arguments", "eval_steps", "log_freq"),
    [(["--steps=100"], 10, 2), (["--steps=5"], 1, 1), (["--steps=100", "--dataset.eval_split=0"], 0, 2)],
)
def test_short_runs_are_watched_more_closely(arguments: list[str], eval_steps: int, log_freq: int) -> None:
    values = config.resolve([DATA, *arguments]).values
    assert (values["eval_steps"], values["log_freq"]) == (eval_steps, log_freq)


def test_a_folder_of_data_needs_no_name(tmp_path: Path) -> None:
    (tmp_path / "reach").mkdir()
    values = config.resolve([f"--dataset.root={tmp_path / 'reach'}"]).values
    assert values["dataset"]["repo_id"] == "local/reach"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("user/pretrained-act", "pretrained-act-finetuned"),
        ("outputs/train/reach/checkpoints/last/pretrained_model", "reach-finetuned"),
    ],
)
def test_a_fine_tuned_policy_is_named_after_the_first(path: str, name: str) -> None:
    assert config.resolve([DATA, "--policy-repo-id", path]).values["job_name"] == name


@pytest.mark.parametrize("flag", ["--dataset.repo_id=${HF_USER}/data", "--policy.repo_id=${HF_USER}/x", "-d=/data"])
def test_a_variable_that_the_shell_left_is_told(flag: str) -> None:
    with pytest.raises(UsageError, match=r"variable|must be a name on the hub"):
        config.resolve([DATA, flag])


def test_steps_and_epochs_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both given"):
        config.resolve([DATA, "--steps=5", "--num_epochs=2"])
    file = tmp_path / "c.yaml"
    file.write_text("training: {steps: 5}")
    resolved = config.resolve([DATA, f"--config={file}", "--policy.num_epochs=2"])
    assert "steps" not in resolved.values
    assert any("steps" in note for note in resolved.notes)


def test_a_typed_policy_type_replaces_the_path_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("policy: {path: user/act}")
    assert get(config.resolve([DATA, f"--config={file}", "-p", "act"]).values, "policy.path") is None
    file.write_text("policy: {type: act, chunk_size: 5}")
    values = config.resolve([DATA, f"--config={file}", "--policy.path=user/act"]).values
    assert get(values, "policy.type") is None
    assert get(values, "policy.chunk_size") == 5


DOCUMENTED = {
    "policy": {"type": "act", "chunk_size": 100, "optimizer_lr": 1e-5, "use_vae": True},
    "dataset": {
        "repo_id": "user/dataset_name",
        "video_backend": "pyav",
        "download_videos": True,
        "episodes": None,
        "root": None,
    },
    "training": {
        "batch_size": 32,
        "steps": 20000,
        "device": "cuda",
        "num_workers": 4,
        "pin_memory": True,
        "persistent_workers": True,
    },
    "output": {
        "output_dir": "outputs/train/x",
        "job_name": "x",
        "save_freq": 1000,
        "eval_freq": 2000,
        "log_freq": 100,
    },
    "wandb": {
        "enable": True,
        "project": "lerobot_act",
        "entity": "me",
        "tags": ["act", "manipulation"],
        "notes": "Training ACT",
    },
}


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml", ".conf"])
def test_the_documents_layout(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"training_config{suffix}"
    file.write_text(json.dumps(DOCUMENTED) if suffix == ".json" else yaml.safe_dump(DOCUMENTED))
    values = config.resolve([f"--config={file}"]).values
    assert values["policy"] == {**DOCUMENTED["policy"], "device": "cuda", "push_to_hub": False}
    assert (values["batch_size"], values["steps"], values["num_workers"]) == (32, 20000, 4)
    assert (values["output_dir"], values["job_name"]) == ("outputs/train/x", "x")
    assert (values["save_freq"], values["env_eval_freq"], values["log_freq"]) == (1000, 2000, 100)
    assert values["wandb"] == {
        "enable": True,
        "project": "lerobot_act",
        "entity": "me",
        "notes": "Training ACT",
    }
    assert values["wandb_tags"] == ["act", "manipulation"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("c.json", "{", "not valid JSON: line 1"),
        ("c.yaml", "a: [", "not valid YAML"),
        ("c.yaml", "- 1", "must hold a mapping"),
        ("c.json", '{"steps": 1, "steps": 2}', "twice"),
        ("c.yaml", "steps: 1\nsteps: 2", "twice"),
        ("c.yaml", "batch_size: 1\ntraining: {batch_size: 2}", "twice"),
        ("c.yaml", "training: 5", "section training"),
        ("c.yaml", "dataset: {repo_id: '${HF_USER}/x'}", "variable"),
        ("c.yaml", "policy: {visual_features: 3}", "no such setting"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, text: str, told: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(UsageError, match=told):
        config.resolve([DATA, f"--config={file}"])


def test_an_absent_file_and_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").touch()
    with pytest.raises(UsageError, match="no config file") as caught:
        config.resolve([DATA, f"--config={tmp_path}/trian.yaml"])
    assert "train.yaml" in str(caught.value.hint)


def test_a_recorded_run_is_repeated_in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "outputs/train/first"
    run.mkdir(parents=True)
    recorded = {"dataset": {"repo_id": "user/data"}, "job_name": "first", "output_dir": str(run), "steps": 7}
    (run / "run.json").write_text(json.dumps({"kind": "imitation", "name": "first", "config": recorded}))
    for path in (run, run / "run.json"):
        values = config.resolve([f"--config={path}"]).values
        assert values["steps"] == 7
        assert values["output_dir"] == "outputs/train/first-2"


def test_help_needs_nothing_else() -> None:
    request = config.resolve(["--policy.type=pi0fast", "--help"]).request
    assert (request.help, request.policy_type) == (True, "pi0_fast")


def test_resolving_loads_no_heavy_library() -> None:
    program = (
        "import sys; from etude import config; config.resolve(['-d', 'a/b']);"
        "print([name for name in ('torch', 'lerobot', 'numpy', 'draccus', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ), check=True
    )
    assert done.stdout.strip() == "[]"
