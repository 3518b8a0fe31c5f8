"""The stages run once each, in order; an interrupted quickstart goes on where it stopped."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from etude.errors import RunFolderError, StorageError
from etude.quickstart import Places, Recipe, StageStoppedError, open_journal, read_outcome, run_stages
from tests.quickstart.stages import Commands, journal_of

RECIPE = Recipe()


def run(folder: Path, **options: object) -> Commands:
    """Run, or go on with, the quickstart in `folder`."""
    commands = Commands(Places(folder), **options)  # type: ignore[arg-type]
    run_stages(open_journal(RECIPE, folder, folder), commands, lambda *_: None)
    return commands


def names(commands: Commands) -> list[str]:
    words = [shlex.split(line) for line in commands.lines]
    return [first if first != "data" else second for first, second, *_ in words]


def test_all_stages_in_order(tmp_path: Path) -> None:
    commands = run(tmp_path / "q")
    assert names(commands) == ["record", "check", "train", "evaluate", "report"]
    assert list(journal_of(tmp_path / "q")["seconds"]) == names(commands)


def test_nothing_is_done_twice(tmp_path: Path) -> None:
    run(tmp_path / "q")
    assert run(tmp_path / "q").lines == []


@pytest.mark.parametrize("stage", ["record", "check", "train", "evaluate", "report"])
def test_continues_with_the_stage_that_failed(tmp_path: Path, stage: str) -> None:
    with pytest.raises(StageStoppedError) as caught:
        run(tmp_path / "q", stop_at=stage, code=7)
    assert caught.value.exit_code == 7
    assert names(run(tmp_path / "q"))[0] == stage
    assert len(journal_of(tmp_path / "q")["seconds"]) == 5


def test_a_stopped_training_is_resumed_though_its_exit_code_was_0(tmp_path: Path) -> None:
    with pytest.raises(StageStoppedError):
        run(tmp_path / "q", stop_at="train", code=0, trained=250)
    again = run(tmp_path / "q")
    assert again.lines[0] == f"train --resume {tmp_path / 'q' / 'train'}"


def test_a_training_without_a_checkpoint_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(StageStoppedError):
        run(tmp_path / "q", stop_at="train")
    again = run(tmp_path / "q")
    assert "--policy.type=act" in again.lines[0]
    assert not (tmp_path / "q" / "train" / "run.json").exists()


def test_each_stage_is_announced_before_and_after(tmp_path: Path) -> None:
    told: list[tuple[int, str, bool]] = []
    run_stages(
        open_journal(RECIPE, tmp_path / "q", tmp_path),
        Commands(Places(tmp_path / "q")),
        lambda number, _, stage, seconds: told.append((number, stage.name, seconds is None)),
    )
    assert told[:4] == [(1, "record", True), (1, "record", False), (2, "check", True), (2, "check", False)]


def test_default_folders_are_numbered_and_unfinished_ones_continued(tmp_path: Path) -> None:
    default = tmp_path / "quickstart"
    run(default)
    second = open_journal(RECIPE, None, default)
    assert second.root.name == "quickstart-2"
    assert open_journal(RECIPE, None, default).root == second.root
    assert open_journal(Recipe(task="push-v3"), None, default).root.name == "quickstart-3"


def test_a_folder_of_another_recipe_is_left_alone(tmp_path: Path) -> None:
    run(tmp_path / "q")
    with pytest.raises(RunFolderError, match="task drawer-open-v3"):
        open_journal(Recipe(task="push-v3"), tmp_path / "q", tmp_path)


@pytest.mark.parametrize("content", ["notes.txt", "quickstart.json"])
def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / content).write_text("mine")
    with pytest.raises(RunFolderError) as caught:
        open_journal(RECIPE, tmp_path, tmp_path)
    assert "--output" in (caught.value.hint or "")
    assert (tmp_path / content).read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_journal(RECIPE, tmp_path / "file" / "below", tmp_path)


def test_outcome_is_read_from_the_newest_rollout(tmp_path: Path) -> None:
    run(tmp_path / "q")
    outcome = read_outcome(Places(tmp_path / "q"))
    assert (outcome.successes, outcome.episodes, outcome.success_rate.value) == (49, 50, 0.98)
    assert outcome.videos[0].parent.parent == outcome.evaluation


def test_no_rollouts_no_outcome(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError):
        read_outcome(Places(tmp_path))
