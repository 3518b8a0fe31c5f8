"""Checkpoints on the disk: complete or absent, verified, pruned."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.errors import CheckpointError, StorageError
from etude.runs.checkpoints import CheckpointStore


def fill(folder: Path) -> None:
    (folder / "pretrained_model").mkdir()
    (folder / "pretrained_model" / "config.json").write_text("{}")
    (folder / "pretrained_model" / "model.safetensors").write_bytes(b"weights" * 1000)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints")


def test_last_points_to_the_newest(store: CheckpointStore) -> None:
    store.write(5, fill)
    store.write(10, fill)
    last = store.named("last")
    assert last is not None
    assert last.step == 10
    assert [item.path.name for item in store.all()] == ["000005", "000010"]
    assert os.readlink(store.folder / "last") == "000010"


def test_a_failed_write_leaves_nothing_and_keeps_the_one_before(store: CheckpointStore) -> None:
    store.write(5, fill)

    def fail(folder: Path) -> None:
        fill(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="no space left"):
        store.write(10, fail)
    assert sorted(os.listdir(store.folder)) == ["000005", "last"]
    store.latest_intact()[0].verify()


def test_native_writers_errors_are_understood(store: CheckpointStore) -> None:
    def fail(folder: Path) -> None:
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(StorageError, match="no space left"):
        store.write(10, fail)


def test_a_real_full_disk(tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk: the kernel refuses the write in the middle of a file."""
    script = textwrap.dedent("""
        import resource, signal, sys
        from pathlib import Path
        from etude.runs.checkpoints import CheckpointStore
        from etude.errors import StorageError
        store = CheckpointStore(Path(sys.argv[1]))
        store.write(1, lambda folder: (folder / "small").write_bytes(b"x"))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            store.write(2, lambda folder: (folder / "large").write_bytes(b"x" * 1_000_000))
        except StorageError as error:
            print(error.message)
    """)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "checkpoint 2 could not be written" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["000001", "last"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "seal"])
def test_damage_is_found_and_the_one_before_is_taken(store: CheckpointStore, damage: str) -> None:
    store.write(5, fill)
    broken = store.write(10, fill).path / "pretrained_model" / "model.safetensors"
    data = bytearray(broken.read_bytes())
    if damage == "truncate":
        broken.write_bytes(data[:-1])
    elif damage == "flip":
        data[100] ^= 1
        broken.write_bytes(data)
    elif damage == "remove":
        broken.unlink()
    else:
        (broken.parents[1] / "checkpoint.json").write_text("{")
    checkpoint, problems = store.latest_intact()
    assert checkpoint.step == 5
    assert len(problems) == 1
    assert "corrupt" in problems[0]


def test_no_checkpoint_at_all_is_said(store: CheckpointStore) -> None:
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        store.latest_intact()


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.integers(1, 40), min_size=1, max_size=8, unique=True).map(sorted),
    best=st.integers(0, 7),
    keep=st.integers(1, 8) | st.none(),
    every=st.integers(1, 10),
)
def test_pruning_never_touches_last_or_best(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], best: int, keep: int | None, every: int
) -> None:
    store = CheckpointStore(tmp_path_factory.mktemp("prune"))
    written = [store.write(step, fill) for step in steps]
    chosen = written[best % len(written)]
    store.mark_best(chosen)
    removed = store.prune(keep, lambda step: step % every == 0)
    left = {item.step for item in store.all()}
    assert left | set(removed) == set(steps)
    assert not left & set(removed)
    assert {steps[-1], chosen.step} <= left
    newest = steps if keep is None else steps[-keep:]
    assert left == {step for step in newest if step % every == 0} | {steps[-1], chosen.step}


def test_killed_while_writing_leaves_a_usable_folder(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from etude.runs.checkpoints import CheckpointStore
        store = CheckpointStore(Path(sys.argv[1]))
        step = 0
        while True:
            step += 1
            store.write(step, lambda folder: (folder / "weights").write_bytes(b"x" * 200_000))
            print(step, flush=True)
    """)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _line in range(3):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        store = CheckpointStore(tmp_path)
        for checkpoint in store.all():
            checkpoint_files = os.listdir(checkpoint.path)
            assert sorted(checkpoint_files) == ["checkpoint.json", "weights"]
        assert store.named("last") is not None
        store.prune(None)
        assert not list(tmp_path.glob(".tmp-*"))
