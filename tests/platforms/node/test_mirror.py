"""Outputs on storage that is no disk: copied as they come, restored for the next attempt."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.platforms.node import mirror
from etude.platforms.node.mirror import MANIFEST, Mirror, copy_changes, keeps_renames, restore, write_manifest


def manifest(folder: Path) -> dict[str, dict[str, object]]:
    body: dict[str, dict[str, object]] = json.loads((folder / MANIFEST).read_text())
    return body


def tree(folder: Path) -> dict[str, bytes | str]:
    """Files and links, but for what is being written."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.name != MANIFEST and ".tmp-" not in str(path)
    }


def make(folder: Path) -> None:
    (folder / "checkpoints/000010").mkdir(parents=True)
    (folder / "checkpoints/000010/model").write_bytes(b"m" * 5000)
    (folder / "checkpoints/last").symlink_to("000010")
    (folder / "run.json").write_text("{}")
    (folder / "metrics.jsonl").write_text("1\n")
    (folder / "checkpoints/.tmp-000020").mkdir()
    (folder / "checkpoints/.tmp-000020/model").write_bytes(b"half")


def test_a_run_is_the_same_after_a_copy_and_a_restore(tmp_path: Path) -> None:
    run, kept, again = tmp_path / "run", tmp_path / "kept", tmp_path / "again"
    make(run)
    copy_changes(run, kept)
    assert not [path for path in kept.rglob("*") if path.is_symlink()]  # object storage has none
    assert not (kept / "checkpoints/.tmp-000020").exists()
    assert manifest(kept)["checkpoints/last"] == {"link": "000010"}
    model = manifest(kept)["checkpoints/000010/model"]
    assert model == {"bytes": 5000, "sha256": hashlib.sha256(b"m" * 5000).hexdigest()}
    assert restore(kept, again) == 3
    assert tree(again) == tree(run)


def test_only_what_changed_is_copied_and_what_is_gone_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, kept = tmp_path / "run", tmp_path / "kept"
    make(run)
    seen: dict[str, object] = {}
    copy_changes(run, kept, seen)  # type: ignore[arg-type]
    copied: list[str] = []
    copy = mirror._copy
    monkeypatch.setattr(mirror, "_copy", lambda file, target: (copied.append(file.name), copy(file, target))[1])
    with open(run / "metrics.jsonl", "a") as file:
        file.write("2\n")
    (run / "checkpoints/000010/model").unlink()
    (run / "checkpoints/last").unlink()
    copy_changes(run, kept, seen)  # type: ignore[arg-type]
    assert copied == ["metrics.jsonl"]
    assert set(manifest(kept)) == {"metrics.jsonl", "run.json"}
    assert not (kept / "checkpoints/000010/model").exists()


def test_in_the_background_and_at_the_end(tmp_path: Path) -> None:
    run, kept = tmp_path / "run", tmp_path / "kept"
    make(run)
    with Mirror(run, kept, every_s=0.05, tell=print) as copying:
        deadline = 100
        while not (kept / MANIFEST).exists() and deadline:
            copying._stop.wait(0.05)
            deadline -= 1
        assert (kept / "run.json").exists()
        (run / "late").write_text("x")
        assert copying.finish()
    assert (kept / "late").read_text() == "x"


def test_a_place_that_fails_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, kept = tmp_path / "run", tmp_path / "kept"
    make(run)
    told: list[str] = []
    copying = Mirror(run, kept, tell=told.append)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(mirror, "_copy", fail)
        assert not copying._copy_all()
    assert "No space left" in told[0]
    assert copying._copy_all()
    assert tree(kept).keys() >= {"run.json", "metrics.jsonl"}


def test_a_disk_keeps_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keeps_renames(tmp_path)
    assert not list(tmp_path.iterdir())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert not keeps_renames(tmp_path)
    assert not list(tmp_path.iterdir())


NAMES = st.text("abc", min_size=1, max_size=3)


@given(st.lists(st.dictionaries(NAMES, st.binary(max_size=30), max_size=5), min_size=1, max_size=5))
def test_a_mirror_always_ends_equal(tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, bytes]]) -> None:
    """Whatever files come, change and go, a restore gives what was there at the last copy."""
    root = tmp_path_factory.mktemp("mirror")
    run, kept = root / "run", root / "kept"
    run.mkdir()
    seen: dict[str, object] = {}
    for files in steps:
        for path in list(run.iterdir()):
            path.unlink()
        for name, data in files.items():
            (run / name).write_bytes(data)
        copy_changes(run, kept, seen)  # type: ignore[arg-type]
    restore(kept, root / "again")
    assert {path.name for path in kept.iterdir()} - {MANIFEST} == set(steps[-1])
    again = root / "again"
    assert (tree(again) if again.exists() else {}) == tree(run)


def test_the_manifest_of_a_folder_written_directly(tmp_path: Path) -> None:
    make(tmp_path)
    write_manifest(tmp_path)
    assert set(manifest(tmp_path)) == {"checkpoints/000010/model", "checkpoints/last", "metrics.jsonl", "run.json"}
