"""The first script: which Python it takes, what it makes, and how its end reaches the platform."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from etude.platforms.bundle.folder import BundledCommand, write_bundle

HERE = Path(__file__).parents[1]


def bundle_of(folder: Path, *steps: str, requirements: str = "base") -> Path:
    command = BundledCommand(command=steps, outputs=("out",), module="acting")
    return write_bundle(command, folder, requirements=requirements).folder


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(HERE), **more}


def call(bundle: Path, out: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(bundle / "bootstrap.sh"), "--output", f"out={out}"],
        env=environment(**variables),
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
        timeout=120,
    )


def test_a_python_that_has_everything_is_used_as_it_is(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "say=hello", "exit=5")
    done = call(bundle, tmp_path / "out", ETUDE_PYTHON=sys.executable, TMPDIR=str(tmp_path))
    assert done.returncode == 5
    assert "hello" in done.stdout
    assert "it has all requirements" in done.stderr
    assert not list(tmp_path.glob("etude-code-*"))  # what it unpacked is gone


def test_the_code_of_the_bundle_runs_not_that_of_the_environment(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "exit=0")
    wheel = next(bundle.glob("*.whl"))
    program = "import etude; print(etude.__file__)"
    (bundle / "acting.py").write_text(program)
    done = call(bundle, tmp_path / "out", ETUDE_PYTHON=sys.executable, PYTHONPATH=str(bundle))
    assert "etude-code-" in done.stdout, done.stderr
    assert wheel.exists()


def test_a_termination_reaches_the_command(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "wait")
    process = subprocess.Popen(
        ["sh", str(bundle / "bootstrap.sh"), "--output", f"out={tmp_path / 'out'}"],
        env=environment(ETUDE_PYTHON=sys.executable),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "asked to stop: saving\n"
    assert process.wait(30) == 128 + signal.SIGTERM  # it was interrupted: not done, though it ended in good order


def test_a_place_without_python_is_told(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "sha256sum", "cut", "grep", "mkdir", "rm", "head", "mktemp", "mv"):
        found = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True)
        (tools / name).symlink_to(os.path.realpath(found.stdout.strip()))
    bundle = bundle_of(tmp_path, "exit=0")
    done = subprocess.run(
        ["/bin/sh", str(bundle / "bootstrap.sh")],
        env={"PATH": str(tools), "HOME": str(tmp_path), "PYENV_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if Path("/usr/local/bin/python3.12").exists() or Path("/opt/conda/bin/python").exists():
        pytest.skip("this machine has a Python where images have theirs")
    assert done.returncode == 78
    assert "no Python 3.12" in done.stderr


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "exit=0")
    (bundle / "requirements.txt").write_text(
        "rich==0.0.1 \\\n    --hash=sha256:00\nnot-there==1.0 ; sys_platform == 'x'\n"
    )
    done = subprocess.run(
        [sys.executable, str(bundle / "satisfied.py"), str(bundle / "requirements.txt")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "rich: 0.0.1 is wanted" in done.stderr
    assert "not-there" not in done.stderr


@pytest.mark.slow
def test_an_environment_is_made_and_used_again(tmp_path: Path) -> None:
    """From the network: a Python without the libraries gets an environment of its own, once."""
    bundle = bundle_of(tmp_path, "say=made")
    bare = subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "bare")], check=True)
    assert bare.returncode == 0
    variables = {"ETUDE_PYTHON": str(tmp_path / "bare/bin/python"), "ETUDE_ENVIRONMENTS": str(tmp_path / "kept")}
    variables |= {name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "UV_", "SSL_", "HTTP"))}
    first = call(bundle, tmp_path / "out", **variables)
    assert first.returncode == 0, first.stderr
    assert "installing" in first.stderr
    assert "made" in first.stdout
    began = time.monotonic()
    second = call(bundle, tmp_path / "out", **variables)
    assert second.returncode == 0
    assert "installing" not in second.stderr
    assert time.monotonic() > began
