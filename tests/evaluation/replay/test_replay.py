"""Replays of real demonstrations through small policies."""

from __future__ import annotations

import copy
import csv
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etude.errors import CheckpointError, DatasetError
from etude.evaluation.replay import ReplaySettings, replay
from etude.evaluation.replay.fit import check_fit, wanted_observations
from etude.evaluation.replay.predictions import execute, predict_fresh
from etude.evaluation.replay.recordings import Recording, joint_names
from etude.evaluation.replay.scores import joint_errors, latency_figures
from etude.runs.results import ReplayResult, load_result


def _first_frames(loaded: Any, recording: Recording, count: int) -> list[dict[str, Any]]:
    keys = wanted_observations(loaded.config, loaded.preprocessor, recording.features)
    (episode,) = recording.episodes([3])
    return list(islice(recording.frames(episode, keys), count))


def test_a_fresh_batch_equals_a_robot_that_plans_at_every_frame(make_loaded: Any, pusht: Recording) -> None:
    """An empty action queue before each frame forces a plan there; the batched pass must give the same."""
    loaded = make_loaded("act")
    frames = _first_frames(loaded, pusht, 9)
    batched = predict_fresh(loaded, frames, batch_size=4)
    loaded.policy.reset()
    slow = []
    for frame in frames:
        loaded.policy._action_queue.clear()
        slow.append(_answer(loaded, frame))
    np.testing.assert_allclose(batched, np.stack(slow), rtol=1e-4, atol=1e-3)


def test_a_policy_with_history_sees_the_frames_before(make_loaded: Any, pusht: Recording) -> None:
    loaded = make_loaded("vqbet")
    frames = _first_frames(loaded, pusht, 6)
    seen = []
    original = loaded.policy.vqbet.forward

    def spy(batch: dict[str, Any], rollout: bool) -> Any:
        seen.append(batch["observation.state"].clone())
        return original(batch, rollout=rollout)

    loaded.policy.vqbet.forward = spy
    predict_fresh(loaded, frames, batch_size=6)
    states = [
        loaded.preprocessor({"observation.state": f["observation.state"][None]})["observation.state"][0] for f in frames
    ]
    assert len(seen) == 1, "one plan for the batch, none while the history was collected"
    for row in range(6):
        expected = [states[max(row - lag, 0)] for lag in (2, 1, 0)]
        for given, wanted in zip(seen[0][row], expected, strict=True):
            np.testing.assert_allclose(given, wanted)


def test_diffusion_is_replayed_with_the_same_noise_twice(make_loaded: Any, pusht: Recording, tmp_path: Path) -> None:
    loaded = make_loaded("diffusion")
    settings = ReplaySettings(every=20, plotted_episodes=0)
    first = replay(loaded, pusht, [1], tmp_path / "a", settings)
    second = replay(loaded, pusht, [1], tmp_path / "b", settings)
    assert first.mse == second.mse
    assert first.dataset["every"] == 20


def test_the_queue_is_used_as_on_a_robot(make_loaded: Any, pusht: Recording) -> None:
    loaded = make_loaded("act")
    executed = execute(loaded, _first_frames(loaded, pusht, 10))
    assert executed.planned == [step % 4 == 0 for step in range(10)]
    assert executed.actions.shape == (10, 2)
    assert len(executed.latency_ms) == 10


def test_result_holds_the_errors_of_the_written_actions(make_loaded: Any, pusht: Recording, tmp_path: Path) -> None:
    folder = tmp_path / "evaluations" / "replay"
    reported: list[tuple[int, int]] = []
    result = replay(
        make_loaded("act"),
        pusht,
        [5],
        folder,
        ReplaySettings(),
        lambda done, total: reported.append((done, total)),
    )
    saved = load_result(folder)
    assert isinstance(saved, ReplayResult)
    assert saved.mse == result.mse
    assert saved.policy["checkpoint_step"] == 7
    assert reported[-1][0] == reported[-1][1] == 2 * saved.dataset["frames"]
    with open(folder / "actions" / "episode_000005.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == saved.dataset["frames"]
    difference = [float(row["predicted/x"]) - float(row["recorded/x"]) for row in rows]
    assert saved.joints[0].name == "x"
    assert saved.joints[0].mae == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    for plot in saved.plots:
        assert (folder / plot).read_text(encoding="utf-8").rstrip().endswith("</svg>")
    assert {Path(plot).name for plot in saved.plots} == {
        "latency.svg",
        "episode_000005_actions.svg",
        "episode_000005_errors.svg",
        "episode_000005_cumulative.svg",
    }
    assert saved.latency_ms["control_period"] == pytest.approx(100)


def test_nothing_is_left_of_a_replay_that_failed(make_loaded: Any, pusht: Recording, tmp_path: Path) -> None:
    loaded = make_loaded("act")

    def fail(*_: Any) -> None:
        raise DatasetError("a frame cannot be read")

    with pytest.raises(DatasetError):
        replay(loaded, pusht, [0], tmp_path / "out", ReplaySettings(), fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "shape"), [("action", [7]), ("observation.state", [14]), ("observation.image", [480, 640, 3])]
)
def test_a_shape_that_differs_is_named_on_both_sides(
    make_loaded: Any, pusht: Recording, key: str, shape: list[int]
) -> None:
    loaded = make_loaded("act")
    features = copy.deepcopy(pusht.features)
    features[key]["shape"] = shape
    with pytest.raises(CheckpointError) as caught:
        check_fit(loaded.config, loaded.preprocessor, features, "other")
    message = caught.value.message
    assert key in message
    assert "in the dataset" in message
    assert "in the policy" in message


def test_a_camera_that_is_missing_is_named(make_loaded: Any, pusht: Recording) -> None:
    loaded = make_loaded("act")
    features = {
        ("observation.images.wrist" if key == "observation.image" else key): value
        for key, value in pusht.features.items()
    }
    with pytest.raises(CheckpointError, match=r"needs observation\.image .*has observation\.images\.wrist"):
        check_fit(loaded.config, loaded.preprocessor, features, "other")
    loaded.preprocessor.steps[0].rename_map = {"observation.images.wrist": "observation.image"}
    check_fit(loaded.config, loaded.preprocessor, features, "other")


def test_an_episode_that_is_not_there(pusht: Recording) -> None:
    with pytest.raises(DatasetError, match="has no episode 999: its episodes are 0 to 205"):
        pusht.episodes([999])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        ({"motors": ["a", "b"]}, ["a", "b"]),
        ({"a": 0, "b": 1}, ["a", "b"]),
        (None, ["action_0", "action_1"]),
        (["only one"], ["action_0", "action_1"]),
    ],
)
def test_joint_names(names: Any, expected: list[str]) -> None:
    assert joint_names({"shape": [2], "names": names}) == expected


def test_errors_are_per_joint() -> None:
    true = np.array([[0.0, 1.0], [0.0, 1.0]])
    first, second = joint_errors(["a", "b"], true + np.array([[1.0, 0.0], [3.0, 0.0]]), true)
    assert (first.mse, first.mae) == (5.0, 2.0)
    assert (second.mse, second.mae) == (0.0, 0.0)


def test_latency_is_held_against_the_control_period() -> None:
    figures = latency_figures([200.0, 1.0, 1.0, 1.0], [True, False, False, False], fps=10)
    assert figures["control_period"] == 100
    assert figures["within_budget"] == 0.75
    assert figures["plan_mean"] == 200
    assert figures["max"] == 200


def _answer(loaded: Any, frame: dict[str, Any]) -> Any:
    import torch

    batch = {key: value[None] for key, value in frame.items() if key not in ("action", "task")}
    batch["task"] = [frame["task"]]
    with torch.inference_mode():
        return loaded.postprocessor(loaded.policy.select_action(loaded.preprocessor(batch))).numpy()[0]
