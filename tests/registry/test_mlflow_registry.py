"""Models in a local MLflow database."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etude.errors import CheckpointError, RegistryError, UsageError
from etude.registry import (
    ModelVersion,
    download,
    find,
    find_candidate,
    parse_reference,
    register,
    register_run,
    versions_of,
)
from etude.registry.mlflow_registry import MlflowRegistry
from etude.runs.folder import RunFolder
from tests.registry.handmade import make_run, save_rollouts, write_policy


def client(address: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=address, registry_uri=address)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def latest(registry: MlflowRegistry, text: str) -> ModelVersion:
    return find(registry, parse_reference(text))


def test_a_run_becomes_a_version_and_comes_back(registry: MlflowRegistry, run: RunFolder, tmp_path: Path) -> None:
    save_rollouts(run, 100, 0.8)
    made = register_run(registry, "drawer", run.root, tags={"robot": "left"})
    assert (made.version.reference, made.was_there, made.loaded) == ("models:/drawer/1", False, False)
    found = latest(registry, "drawer")
    assert found.tags == {"robot": "left"}
    assert found.lineage == made.lineage
    assert found.facts["etude.success_rate"] == "0.800 [0.600, 1.000]"

    seen: list[str] = []
    got = download(registry, found, tmp_path / "got", lambda name, size: seen.append(name))
    assert (got.files, got.reused, got.verified) == (len(made.lineage.files), 0, True)
    assert sorted(seen) == sorted(made.lineage.files)
    brought = content(tmp_path / "got")
    original = content(run.checkpoints.named("best").pretrained_model)  # type: ignore[union-attr]
    assert {name: data for name, data in brought.items() if not name.startswith("lineage/")} == original
    assert {name for name in brought if name.startswith("lineage/")} == {
        "lineage/config.json",
        "lineage/evaluation.json",
        "lineage/lineage.json",
    }
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp")] == []


def test_the_same_content_is_the_same_version(registry: MlflowRegistry, run: RunFolder, tmp_path: Path) -> None:
    first = register_run(registry, "drawer", run.root)
    again = register_run(registry, "drawer", run.root)
    assert (again.version.version, again.was_there) == (first.version.version, True)
    elsewhere = tmp_path / "copied"
    write_policy(elsewhere, seed=100)
    assert register(registry, "drawer", find_candidate(elsewhere)).was_there
    assert not register_run(registry, "drawer", run.root, step="last").was_there
    assert not register(registry, "drawer", find_candidate(run.root), force_new=True).was_there
    assert [item.version for item in registry.versions("drawer")] == ["3", "2", "1"]
    assert not register_run(registry, "other", run.root).was_there  # another name is another model


def test_an_evaluation_that_came_later_is_told_of(registry: MlflowRegistry, run: RunFolder, tmp_path: Path) -> None:
    first = register_run(registry, "drawer", run.root)
    assert not register_run(registry, "drawer", run.root).evaluated_since
    save_rollouts(run, 100, 0.8)
    assert register_run(registry, "drawer", run.root).evaluated_since
    made = register(registry, "drawer", find_candidate(run.root), force_new=True)
    assert made.lineage.evaluation["success_rate"]["value"] == 0.8
    # The first version's documents are still its own.
    assert download(registry, first.version, tmp_path / "first").verified
    assert download(registry, made.version, tmp_path / "second").verified


def test_what_was_downloaded_is_registered_with_the_lineage_it_came_with(
    registry: MlflowRegistry, run: RunFolder, tmp_path: Path
) -> None:
    save_rollouts(run, 100, 0.8)
    made = register_run(registry, "drawer", run.root)
    download(registry, made.version, tmp_path / "got")
    copied = register(registry, "copy", find_candidate(tmp_path / "got"))
    assert copied.lineage == made.lineage
    (tmp_path / "got" / "config.json").write_text('{"type": "other"}')
    changed = register(registry, "copy", find_candidate(tmp_path / "got"))
    assert changed.lineage.evaluation == {}  # it is about other files now


def test_the_files_lie_with_the_run_that_trained_it(registry: MlflowRegistry, database: str, tmp_path: Path) -> None:
    tracked = client(database).create_run(
        client(database).create_experiment("arms", artifact_location=(tmp_path / "arms").as_uri())
    )
    tracking = {"mlflow": {"uri": database, "experiment": "arms", "run_id": tracked.info.run_id}}
    run = make_run(tmp_path / "run", tracking=tracking)
    made = register_run(registry, "drawer", run.root)
    assert made.version.source.startswith(tracked.info.artifact_uri)
    assert client(database).get_model_version("drawer", "1").run_id == tracked.info.run_id
    assert made.lineage.tracking["mlflow"]["run_id"] == tracked.info.run_id

    client(database).delete_run(tracked.info.run_id)
    later = register_run(registry, "drawer", run.root, step="last")
    assert not later.version.source.startswith(tracked.info.artifact_uri)


def test_an_alias_leads_to_its_version(registry: MlflowRegistry, database: str, run: RunFolder) -> None:
    register_run(registry, "drawer", run.root)
    register_run(registry, "drawer", run.root, step="last")
    client(database).set_registered_model_alias("drawer", "champion", "1")
    assert latest(registry, "models:/drawer@champion").version == "1"
    assert latest(registry, "models:/drawer@champion").aliases == ("champion",)
    assert latest(registry, "models:/drawer@latest").version == "2"
    with pytest.raises(RegistryError, match="no alias 'champoin'") as refused:
        latest(registry, "drawer@champoin")
    assert refused.value.hint == "did you mean @champion?"


def test_unknown_names_and_versions(registry: MlflowRegistry, database: str, run: RunFolder) -> None:
    with pytest.raises(RegistryError, match="no model 'drawer'"):
        versions_of(registry, "drawer")
    register_run(registry, "drawer-act", run.root)
    with pytest.raises(RegistryError) as refused:
        latest(registry, "drawer_atc")
    assert refused.value.hint == "did you mean drawer-act?"
    with pytest.raises(RegistryError, match="no version 12") as refused:
        latest(registry, "drawer-act/12")
    assert refused.value.hint == "it has 1"
    with pytest.raises(RegistryError, match="no model"):
        latest(registry, 'it\'s "odd"')
    client(database).create_registered_model("empty")
    with pytest.raises(RegistryError, match="has no version yet"):
        versions_of(registry, "empty")


def test_more_versions_than_a_page(registry: MlflowRegistry, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.registry.mlflow_registry.PAGE", 2)
    for name in ("a", "b", "c"):
        client(database).create_registered_model(name)
    for _ in range(11):
        client(database).create_model_version("b", "file:///nowhere", await_creation_for=0)
    assert registry.names() == ["a", "b", "c"]
    assert [item.version for item in registry.versions("b")] == [str(number) for number in range(11, 0, -1)]


# what is refused


def test_a_checkpoint_that_does_not_load(registry: MlflowRegistry, run: RunFolder) -> None:
    def loads(folder: Path) -> None:
        assert folder.name == "pretrained_model"
        raise CheckpointError("the weights do not fit", hint="train it again")

    with pytest.raises(RegistryError, match="does not load: the weights do not fit") as refused:
        register_run(registry, "drawer", run.root, loads=loads)
    assert refused.value.hint == "train it again"
    assert registry.names() == []
    assert register_run(registry, "drawer", run.root, loads=lambda folder: None).loaded


@pytest.mark.parametrize(
    ("name", "tags", "said"),
    [
        ("a/b", {}, "no name for a model"),
        ("drawer", {"etude.digest": "x"}, "are taken"),
        ("drawer", {"note": "x" * 901}, "at most 900"),
        ("drawer", {"": "x"}, "1 to 100"),
    ],
)
def test_names_and_tags_that_cannot_be(
    registry: MlflowRegistry, run: RunFolder, name: str, tags: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        register_run(registry, name, run.root, tags=tags)
    assert registry.names() == []


def test_asking_makes_no_database(tmp_path: Path, run: RunFolder) -> None:
    registry = MlflowRegistry(f"sqlite:///{tmp_path / 'none.db'}")
    assert registry.names() == []
    with pytest.raises(RegistryError, match="no model 'drawer'"):
        latest(registry, "drawer")
    with pytest.raises(RegistryError, match="no MLflow database"):
        register_run(MlflowRegistry(f"sqlite:///{tmp_path / 'nowhere' / 'm.db'}"), "drawer", run.root)
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_text("no database at all " * 100)
    with pytest.raises(RegistryError, match=r"MLflow at .* refuses"):
        MlflowRegistry(f"sqlite:///{tmp_path / 'm.db'}").names()


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = dict(os.environ)
    registry = MlflowRegistry("http://me:secret-pass@127.0.0.1:9")
    with pytest.raises(RegistryError, match=r"^MLflow at http://127\.0\.0\.1:9 does not answer$") as refused:
        registry.names()
    assert "secret-pass" not in repr(refused.value) + registry.title
    assert dict(os.environ) == before


# what was interrupted


def test_a_download_goes_on_where_it_was(registry: MlflowRegistry, run: RunFolder, tmp_path: Path) -> None:
    version = register_run(registry, "drawer", run.root).version
    names: list[str] = []

    def interrupt(name: str, size: int) -> None:
        names.append(name)
        if len(names) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(registry, version, tmp_path / "got", interrupt)
    assert not (tmp_path / "got").exists()
    partial = next(path for path in tmp_path.iterdir() if path.name.startswith(".tmp-got"))
    (partial / names[1]).write_bytes(b"damaged")
    got = download(registry, version, tmp_path / "got")
    assert got.reused == 2
    assert got.files == len(version.lineage.files)  # type: ignore[union-attr]
    assert not partial.exists()
    assert download(registry, version, tmp_path / "got").reused == got.files  # all of it is here


def test_what_changed_in_the_store_is_not_handed_out(registry: MlflowRegistry, run: RunFolder, tmp_path: Path) -> None:
    version = register_run(registry, "drawer", run.root).version
    weights = Path(version.source.removeprefix("file://")) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"\7")
    with pytest.raises(RegistryError, match=r"model\.safetensors .* its hash differs"):
        download(registry, version, tmp_path / "got")
    weights.write_bytes(whole[:-1])
    with pytest.raises(RegistryError, match="bytes instead of"):
        download(registry, version, tmp_path / "got")
    weights.unlink()
    with pytest.raises(RegistryError, match=r"model\.safetensors is gone"):
        download(registry, version, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_a_folder_that_holds_something_else_stays(registry: MlflowRegistry, run: RunFolder, tmp_path: Path) -> None:
    version = register_run(registry, "drawer", run.root).version
    with pytest.raises(RegistryError, match="exists already"):
        download(registry, version, run.root)
    (tmp_path / "empty").mkdir()
    assert download(registry, version, tmp_path / "empty").files


def test_somebody_elses_version(registry: MlflowRegistry, database: str, tmp_path: Path) -> None:
    (tmp_path / "theirs" / "inside").mkdir(parents=True)
    (tmp_path / "theirs" / "MLmodel").write_text("flavors: {}")
    (tmp_path / "theirs" / "inside" / "weights").write_bytes(b"\1" * 99)
    client(database).create_registered_model("theirs")
    client(database).create_model_version("theirs", (tmp_path / "theirs").as_uri(), await_creation_for=0)
    version = latest(registry, "theirs")
    assert version.lineage is None
    got = download(registry, version, tmp_path / "got")
    assert (got.files, got.bytes, got.verified) == (2, 110, False)
    assert content(tmp_path / "got") == content(tmp_path / "theirs")


def test_a_file_name_that_leads_out_is_refused(
    registry: MlflowRegistry, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = dataclasses.replace(register_run(registry, "drawer", run.root).version, facts={})
    monkeypatch.setattr(registry, "files", lambda version: {"../../outside": 1})
    with pytest.raises(RegistryError, match="leads out"):
        download(registry, version, tmp_path / "got")


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from mlflow import MlflowClient
    from etude.registry import register_run
    from etude.registry.mlflow_registry import MlflowRegistry

    where, calls = sys.argv[3], []
    send = getattr(MlflowClient, where)

    def sent(*arguments, **named):
        calls.append(1)
        if len(calls) == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
        return send(*arguments, **named)

    setattr(MlflowClient, where, sent)
    register_run(MlflowRegistry(sys.argv[1]), "drawer", Path(sys.argv[2]))
    """
)


@pytest.mark.parametrize(("where", "call"), [("log_artifact", 3), ("create_model_version", 1)])
def test_a_registration_that_was_killed_leaves_no_half_version(
    registry: MlflowRegistry,
    database: str,
    run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    call: int,
) -> None:
    program = [sys.executable, "-c", KILLED, database, str(run.root), where, str(call)]
    assert subprocess.run(program, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert registry.versions("drawer") == []

    sent = _counted(monkeypatch)
    made = register_run(registry, "drawer", run.root)
    # What was sent before is not sent again: all files and lineage.json, but those.
    assert len(sent) == len(made.lineage.files) + 1 - (
        call - 1 if where == "log_artifact" else len(made.lineage.files) + 1
    )
    assert made.version.version == "1"
    assert download(registry, made.version, tmp_path / "got").verified


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from mlflow import MlflowClient

    sent: list[str] = []
    send: Callable[..., Any] = MlflowClient.log_artifact

    def counting(self: Any, run_id: str, path: str, place: str | None = None) -> Any:
        sent.append(path)
        return send(self, run_id, path, place)

    monkeypatch.setattr(MlflowClient, "log_artifact", counting)
    return sent
