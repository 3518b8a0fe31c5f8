"""Environments by name, and what happens with a wrong one."""

from __future__ import annotations

import pytest

from etude.errors import SimulationError
from etude.simulation import EnvironmentSpec, known_environments, known_tasks, make_environments, resolve


def test_the_known_names() -> None:
    assert known_environments() == ["aloha", "metaworld", "pusht"]
    assert len(known_tasks("metaworld")) == 50


@pytest.mark.parametrize(
    ("spec", "nearest"),
    [
        (EnvironmentSpec("metaword"), "metaworld"),
        (EnvironmentSpec("push"), "pusht"),
        (EnvironmentSpec("metaworld", "button-press-topdown"), "button-press-topdown-v3"),
        (EnvironmentSpec("aloha", "AlohaTransferCube"), "AlohaTransferCube-v0"),
    ],
)
def test_a_wrong_name_gets_the_nearest(spec: EnvironmentSpec, nearest: str) -> None:
    with pytest.raises(SimulationError) as error:
        resolve(spec)
    assert nearest in (error.value.hint or "")


def test_defaults_are_those_of_lerobot() -> None:
    assert resolve(EnvironmentSpec("pusht")).observations == {
        "observation.state": (2,),
        "observation.image": (3, 96, 96),
    }
    assert resolve(EnvironmentSpec("aloha")).max_steps == 400
    assert resolve(EnvironmentSpec("metaworld", "metaworld-push-v3")).task == "push-v3"


def test_an_observation_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(SimulationError, match=r"observation\.images\.wrist.*observation\.image") as error:
        resolve(EnvironmentSpec("pusht", observations={"observation.images.wrist": (3, 96, 96)}))
    assert "--rename_map" in (error.value.hint or "")


@pytest.mark.parametrize("shape", [(6,), (3, 96, 96)])
def test_a_shape_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SimulationError, match="does not fit"):
        resolve(EnvironmentSpec("pusht", observations={"observation.state": shape}))


def test_only_what_is_read_is_observed() -> None:
    spec = EnvironmentSpec("metaworld", "reach-v3", observations={"observation.state": (4,)})
    observation = make_environments(spec, 1).reset({0: 1})[0]
    assert {name: values.shape for name, values in observation.items()} == {"observation.state": (4,)}


def test_images_have_the_size_that_is_read() -> None:
    spec = EnvironmentSpec(
        "metaworld",
        "reach-v3",
        observations={"observation.image": (3, 48, 64), "observation.images.gripperPOV": (3, 32, 32)},
        shadows=False,
    )
    observation = make_environments(spec, 1).reset({0: 1})[0]
    assert observation["observation.image"].shape == (48, 64, 3)
    assert observation["observation.images.gripperPOV"].shape == (32, 32, 3)
    assert observation["observation.image"].std() > 10


def test_the_names_of_dimensions_fit_their_vectors() -> None:
    from etude.simulation.catalog import create, describe

    for kind, vectors in {"pusht": (2, 16), "metaworld": (4, 39)}.items():
        names = ("observation.state", "observation.environment_state")
        spec = resolve(EnvironmentSpec(kind, observations={n: (s,) for n, s in zip(names, vectors, strict=True)}))
        info, environment = describe(spec), create(spec)
        observation = environment.reset(1)
        assert {name: len(info.state_names[name]) for name in names} == {name: len(observation[name]) for name in names}
        environment.close()


def test_an_aloha_episode_renders_only_the_camera_that_is_read() -> None:
    spec = EnvironmentSpec(
        "aloha",
        "AlohaTransferCube-v0",
        observations={"observation.state": (14,), "observation.images.top": (3, 48, 64)},
        video_size=(64, 64),
    )
    environments = make_environments(spec, 1)
    first = environments.reset({0: 3})[0]
    step = environments.step({0: first["observation.state"]})[0]
    assert step.observation["observation.images.top"].shape == (48, 64, 3)
    assert first.keys() == {"observation.state", "observation.images.top"}
    assert not step.success
    assert environments.render([0])[0].shape == (64, 64, 3)
    assert (environments.reset({0: 3})[0]["observation.state"] == first["observation.state"]).all()


def test_a_worker_that_fails_says_why() -> None:
    spec = EnvironmentSpec("pusht", observations={"observation.state": (2,)})
    environments = make_environments(spec, 2, processes=2)
    try:
        environments.reset({0: 1, 1: 2})
        with pytest.raises(SimulationError, match="the simulation failed"):
            environments.step({0: "not an action"})  # type: ignore[dict-item]
    finally:
        environments.close()
