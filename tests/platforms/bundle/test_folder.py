"""Bundles: the same bytes for the same job, small, and complete."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from etude.errors import PlatformError
from etude.platforms.bundle.folder import BundledCommand, content_digest, write_bundle
from etude.platforms.bundle.wheel import write_wheel

COMMAND = BundledCommand(
    command=("train", "--dataset.root={input:dataset}", "--output_dir={output:checkpoint}"),
    inputs=("dataset",),
    outputs=("checkpoint",),
    secrets={"HF_TOKEN": "keyvault://vault/hf-token"},
    after=(("models", "register", "name"),),
)


def test_the_same_job_is_the_same_bundle(tmp_path: Path) -> None:
    one = write_bundle(COMMAND, tmp_path / "one", config="policy: {type: act}\n")
    os.utime(Path(sys.modules["etude"].__file__ or ""))  # another time of the source changes nothing
    other = write_bundle(COMMAND, tmp_path / "other", config="policy: {type: act}\n")
    assert one.digest == other.digest
    assert one.folder.name == other.folder.name == f"bundle-{one.digest[:16]}"
    for file in one.folder.iterdir():
        assert file.read_bytes() == (other.folder / file.name).read_bytes()
    assert write_bundle(COMMAND, tmp_path / "one", config="policy: {type: act}\n").folder == one.folder
    assert [path.name for path in (tmp_path / "one").iterdir()] == [one.folder.name]


def test_another_job_is_another_bundle(tmp_path: Path) -> None:
    digests = {
        write_bundle(COMMAND, tmp_path).digest,
        write_bundle(COMMAND, tmp_path, config="a: 1\n").digest,
        write_bundle(COMMAND, tmp_path, requirements="base").digest,
        write_bundle(BundledCommand(command=("train",)), tmp_path).digest,
    }
    assert len(digests) == 4


def test_what_it_holds(tmp_path: Path) -> None:
    bundle = write_bundle(COMMAND, tmp_path, config="policy: {type: act}\n")
    names = {file.name for file in bundle.folder.iterdir()}
    assert {"job.json", "config.yaml", "requirements.txt", "bootstrap.sh", "satisfied.py"} <= names
    assert bundle.bytes == sum(file.stat().st_size for file in bundle.folder.iterdir())
    assert bundle.bytes < 2 * 2**20
    assert BundledCommand.load(bundle.folder) == COMMAND
    assert content_digest(bundle.folder)[0] == bundle.digest


def test_an_unknown_list_of_requirements(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="imitaton") as caught:
        write_bundle(COMMAND, tmp_path, requirements="imitaton")
    assert "imitation" in str(caught.value.hint)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "{}", '{"format": 99}', '{"format": 1, "command": [], "unknown": 1}'])
def test_a_damaged_job_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(PlatformError, match=r"job\.json"):
        BundledCommand.load(tmp_path)


def test_the_wheel_is_one(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        record = archive.read(next(name for name in names if name.endswith("RECORD"))).decode()
    assert "etude/cli/__init__.py" in names
    assert "etude/py.typed" in names
    assert any(name.endswith(".html") for name in names)
    assert not [name for name in names if "__pycache__" in name or "requirements/" in name]
    assert len(record.splitlines()) == len(names)
    program = "import etude, etude.cli, sys; print(etude.__file__); sys.exit(etude.cli.main(['--version']))"
    found = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(wheel)}, capture_output=True, text=True, check=True
    )
    assert str(wheel) in found.stdout
    # An installer reads it, too; without an index, so that nothing is fetched.
    target = tmp_path / "site"
    tool = [sys.executable, "-m", "pip", "--version"]
    if subprocess.run(tool, capture_output=True, check=False).returncode == 0:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel],
            check=True,
        )
        assert hashlib.sha256((target / "etude" / "errors.py").read_bytes()).digest()
