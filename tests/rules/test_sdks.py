"""A vendor's library is named in one place only, so that replacing it is a change in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules.source import SOURCE, imports_of, python_files, room_of

# library -> where it may be imported: a room, or a path below src/etude (doctor only tries it)
ALLOWED = {
    "mlflow": ("tracking", "registry", "doctor"),
    "wandb": ("tracking", "doctor"),
    "azure": ("data/sources", "platforms/azureml", "registry", "secrets", "doctor"),
    "metaworld": ("simulation", "doctor"),
    "gym_pusht": ("simulation", "doctor"),
    "gym_aloha": ("simulation", "doctor"),
    "mujoco": ("simulation", "doctor"),
    "optuna": ("tuning",),
    "isaaclab": ("rl", "simulation"),
}
# Rooms that may not know torch at all: they run where only the base install is.
WITHOUT_TORCH = (
    "errors",
    "extras",
    "config",
    "secrets",
    "runs",
    "platforms",
    "tracking",
    "registry",
)
FILES = python_files(SOURCE)


def name(file: Path) -> str:
    return str(file.relative_to(SOURCE))


def allowed(file: Path, places: tuple[str, ...]) -> bool:
    path = file.relative_to(SOURCE).as_posix().removesuffix(".py")
    return any(path == place or path.startswith(f"{place}/") for place in places)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_a_library_of_a_vendor_stays_in_its_place(file: Path) -> None:
    strays = [
        f"line {item.line}: {item.module} belongs to {', '.join(ALLOWED[library])}"
        for item in imports_of(file)
        if (library := item.module.split(".")[0]) in ALLOWED and not allowed(file, ALLOWED[library])
    ]
    assert not strays, "\n".join(strays)


@pytest.mark.parametrize("file", [item for item in FILES if room_of(item) in WITHOUT_TORCH], ids=name)
def test_rooms_that_need_no_torch_do_not_name_it(file: Path) -> None:
    named = [f"line {item.line}" for item in imports_of(file) if item.module.split(".")[0] in ("torch", "lerobot")]
    assert not named, named
