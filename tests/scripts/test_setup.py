"""`make setup` on machines that lack something: one clear message, and nothing half-made."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.source import ROOT

TOOLS = (
    "bash",
    "cat",
    "cut",
    "awk",
    "df",
    "dirname",
    "sha256sum",
    "grep",
    "sort",
    "head",
    "mktemp",
    "rm",
    "tail",
    "id",
)


class Machine:
    """A clone, an empty home, and a PATH with the usual tools but no Python and no uv."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.home, self.bin = folder / "clone", folder / "home", folder / "bin"
        for name in (self.home, self.bin, self.clone / "requirements"):
            name.mkdir(parents=True)
        shutil.copytree(ROOT / "scripts", self.clone / "scripts")
        shutil.copy(ROOT / "pyproject.toml", self.clone)
        for file in ("all.txt", "uv.txt"):
            shutil.copy(ROOT / "requirements" / file, self.clone / "requirements")
        for tool in TOOLS:
            found = shutil.which(tool)
            if found:
                (self.bin / tool).symlink_to(found)

    def program(self, path: Path, text: str) -> None:
        """Put a shell program there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(f"#!{shutil.which('bash')}\n{text}\n")
        path.chmod(0o755)

    def python(self, path: Path) -> None:
        """Put a Python 3.12 there: this one."""
        self.program(path, f'exec {sys.executable} "$@"')

    def run(self, script: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "HOME": str(self.home), "ETUDE_APT": "no", **settings}
        return subprocess.run(
            [self.clone / "scripts" / script], env=environment, capture_output=True, text=True, check=False
        )

    def made(self) -> set[str]:
        return {path.name for path in self.clone.iterdir()} - {"scripts", "requirements", "pyproject.toml"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_python_312_the_ways_to_get_it_are_told(machine: Machine) -> None:
    done = machine.run("setup.sh")
    assert done.returncode != 0
    for way in ("uv python install 3.12", "pyenv install 3.12", "apt install python3.12", "ETUDE_PYTHON="):
        assert way in done.stderr
    assert not machine.made()


def test_a_named_python_that_is_not_312_is_refused(machine: Machine) -> None:
    machine.program(machine.bin / "old", "exit 1")
    done = machine.run("setup.sh", ETUDE_PYTHON="old")
    assert done.returncode != 0
    assert "ETUDE_PYTHON=old is not a Python 3.12" in done.stderr
    assert not machine.made()


@pytest.mark.parametrize(
    "place",
    [
        "bin/python3.12",
        "bin/python3",
        "home/.pyenv/versions/3.12.4/bin/python3.12",
        "home/.local/share/uv/python/cpython-3.12.7-linux-x86_64-gnu/bin/python3.12",
    ],
)
def test_python_is_found_where_people_have_it(machine: Machine, place: str) -> None:
    machine.python(machine.bin.parent / place)
    done = machine.run("find_python.sh")
    assert done.returncode == 0, done.stderr
    assert os.path.realpath(done.stdout.strip()) == os.path.realpath(sys.executable)


def test_a_shim_that_refuses_is_passed_over(machine: Machine) -> None:
    machine.program(machine.bin / "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    machine.python(machine.home / ".pyenv/versions/3.12.4/bin/python3.12")
    assert machine.run("find_python.sh").returncode == 0


def test_a_full_disk_is_told_before_anything_is_made(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    (machine.bin / "df").unlink()
    machine.program(machine.bin / "df", "echo Filesystem; echo disk 100000000 95000000 5000000 95% /")
    done = machine.run("setup.sh")
    assert done.returncode != 0
    assert "8 GiB needed, 4 GiB free" in done.stderr
    assert not machine.made()


def test_an_environment_of_another_python_is_left_alone(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    machine.program(machine.clone / ".venv" / "bin" / "python", "exit 1")
    done = machine.run("setup.sh")
    assert done.returncode != 0
    assert "rm -r .venv" in done.stderr
    assert machine.made() == {".venv"}


def test_nothing_happens_when_nothing_changed(machine: Machine) -> None:
    lists = (machine.clone / name for name in ("requirements/all.txt", "pyproject.toml"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in lists)).hexdigest()
    machine.program(machine.clone / ".venv" / "bin" / "etude", "exit 0")
    (machine.clone / ".venv" / "etude-setup").write_text(f"{digest} {machine.clone}\n")
    # There is no Python: anything more than a look at the stamp would fail.
    done = machine.run("setup.sh")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_changed_requirements_are_noticed(machine: Machine) -> None:
    machine.program(machine.clone / ".venv" / "bin" / "etude", "exit 0")
    (machine.clone / ".venv" / "etude-setup").write_text(f"{'0' * 64} {machine.clone}\n")
    assert machine.run("setup.sh").returncode != 0  # it went on to look for a Python, which is not there


@pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="the line to type is Debian's")
def test_missing_system_libraries_do_not_stop_it(machine: Machine) -> None:
    machine.program(machine.bin / "ldconfig", "echo libc.so.6")
    done = machine.run("system_libraries.sh")
    assert done.returncode == 0
    assert "sudo apt install ffmpeg libegl1 libosmesa6 libgl1" in done.stdout
