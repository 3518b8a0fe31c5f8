"""`etude evaluate` in simulation: flags, the remembered environment, results, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etude.cli import main
from etude.cli.evaluate_arguments import parse
from etude.errors import UsageError
from etude.runs.manifest import RunManifest
from etude.runs.results import ComparisonResult, RolloutResult, load_result
from tests.policies.conftest import save_act

ENVIRONMENT = ("--env.type=metaworld", "--env.task=reach-v3")
SHORT = ("--episodes=2", "--env.episode_length=3", "--device=cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with one checkpoint, whose demonstrations say where they came from."""
    base = tmp_path_factory.mktemp("work")
    root = base / "run"
    save_act(root / "checkpoints" / "000010" / "pretrained_model")
    (root / "checkpoints" / "last").symlink_to("000010")
    data = base / "data"
    (data / "meta").mkdir(parents=True)
    origin = {"environment": {"type": "metaworld", "task": "reach-v3", "shadows": False}, "seeds": []}
    (data / "meta" / "etude.json").write_text(json.dumps(origin))
    RunManifest("imitation", "run", [], {}, dataset={"root": str(data)}).save(root / "run.json")
    return root


def test_lerobots_spelling_and_the_short_one() -> None:
    long = parse(["--policy.path=p", "--env.type=pusht", "--eval.n_episodes=7", "--eval.batch_size=3"])
    short = parse(["-p", "p", "--env.type", "pusht", "--episodes", "7", "--batch_size", "3"])
    assert long == short
    assert (long.episodes, long.batch_size, long.seed) == (7, 3, 1000)


def test_other_policy_flags_change_the_policy() -> None:
    arguments = parse(["--policy.path=p", "--policy.n_action_steps=8", "--policy.temporal_ensemble_coeff", "0.01"])
    assert arguments.overrides == {"n_action_steps": 8, "temporal_ensemble_coeff": 0.01}
    assert parse(["-p", "p", "--policy.temporal_ensemble_coeff=None"]).overrides == {"temporal_ensemble_coeff": None}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--policy.path=p", "--env.typ=pusht"], "--env.typ"),
        (["--policy.path=p", "--episodes=0"], "at least 1"),
        (["--policy.path=p", "--episodes=many"], "whole number"),
        (["--policy.path=p", "--rename_map={"], "not JSON"),
        (["--policy.path=p", "--policy.n_action_steps"], "needs a value"),
        (["--env.type=pusht"], "--policy.path"),
    ],
)
def test_wrong_flags_are_one_sentence(argv: list[str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(argv)
    assert said in error.value.message


def test_the_result_lies_in_the_run_and_the_environment_is_remembered(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", f"--policy.path={run}", *SHORT, "--videos=1"]) == 0
    folder = run / "evaluations" / "metaworld-reach-v3-000010"
    result = load_result(folder)
    assert isinstance(result, RolloutResult)
    assert result.environment["task"] == "reach-v3"
    assert result.environment["shadows"] is False
    assert [episode.seed for episode in result.episodes] == [1000, 1001]
    assert (folder / result.videos[0]).stat().st_size > 1000
    assert result.policy["checkpoint_step"] == 10
    captured = capsys.readouterr()
    assert "2 environments side by side, simulated in this process" in captured.err
    printed = captured.out
    assert "success rate 0.0 % (95 % interval 0.0 to 65.8), 0 of 2 episodes" in printed
    assert f"etude report {run}" in printed


def test_json_is_all_that_is_printed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result"
    argv = ["evaluate", f"--policy.path={run}", *ENVIRONMENT, *SHORT, "--videos=0", "--json"]
    assert main([*argv, f"--output_dir={out}"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["folder"] == str(out)
    assert printed["success_rate"]["method"] == "wilson"
    assert main([*argv, f"--output_dir={out}"]) == 6  # it exists
    assert "exists already" in capsys.readouterr().err


def test_two_policies_are_compared_on_the_same_seeds(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    save_act(other, seed=5)
    argv = ["evaluate", f"--policy.path={run}", "--compare", str(other), *ENVIRONMENT, *SHORT]
    assert main([*argv, "--videos=0", f"--output_dir={tmp_path / 'out'}"]) == 0
    result = load_result(tmp_path / "out")
    assert isinstance(result, ComparisonResult)
    assert result.seeds == [1000, 1001]
    assert result.policies[1]["path"] == str(other)
    assert sum(result.table.values()) == 2
    assert "McNemar" in capsys.readouterr().out
    assert {folder.name for folder in (tmp_path / "out").iterdir()} == {"first", "second", "result.json"}


def test_without_an_environment_it_says_what_to_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_act(tmp_path / "policy")
    assert main(["evaluate", f"--policy.path={tmp_path / 'policy'}", "--device=cpu"]) == 2
    assert "--env.type=pusht" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        (("--env.type=metaword",), 10, "did you mean metaworld"),
        (("--env.type=metaworld", "--env.task=reach"), 10, "reach-v3"),
        (("--env.type=pusht",), 10, "does not fit"),
        ((*ENVIRONMENT, "--checkpoint=77"), 5, "it has 10"),
        ((*ENVIRONMENT, "--device=gpu"), 8, "unknown device"),
        ((*ENVIRONMENT, "--policy.chunksize=3"), 2, "chunk_size"),
    ],
)
def test_refusals_leave_nothing_behind(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    extra: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    argv = ["evaluate", f"--policy.path={run}", f"--output_dir={tmp_path / 'out'}", "--videos=0"]
    if "--device=gpu" not in extra:
        argv.append("--device=cpu")
    assert main([*argv, *extra]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []
