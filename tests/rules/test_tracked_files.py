"""What git tracks holds no address of a package registry, no path of somebody's machine and no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rules.source import ROOT, tracked_files

TEXT = (".py", ".sh", ".md", ".toml", ".txt", ".in", ".yaml", ".yml", ".json", ".html", ".css", ".js", "")
REGISTRY = re.compile(r"https?://[\w.-]*(pypi\.org|pythonhosted\.org|registry\.npmjs|conda\.anaconda|/simple/)")
MACHINE = re.compile(r"(?<![\w.])/(work|root|Users|home/[a-z]+|tmp/[a-z]+|opt/(wheels|pypi))/")
SECRET = re.compile(r"\b(hf_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|ghp_[A-Za-z0-9]{36}|-----BEGIN [A-Z ]*PRIVATE KEY)")
MAX_BYTES = 1_000_000


def text_files() -> list[Path]:
    return [file for file in tracked_files() if file.suffix in TEXT and file != Path(__file__)]


def found(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    hits = []
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.search(line):
                hits.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return hits


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE, SECRET], ids=["registry", "machine path", "secret"])
def test_no_file_holds(pattern: re.Pattern[str]) -> None:
    assert not found(pattern, text_files())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_no_file_is_heavy() -> None:
    heavy = [str(file.relative_to(ROOT)) for file in tracked_files() if file.stat().st_size > MAX_BYTES]
    assert not heavy


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_requirements_are_exact_versions_with_hashes(file: Path) -> None:
    entries = file.read_text(encoding="utf-8").replace("\\\n", " ").strip().splitlines()
    loose = [line for line in entries if not re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)]
    assert not loose
    assert not [line for line in entries if re.search(r"://|file:|@ ", line)]
