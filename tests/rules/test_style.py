"""Small rules that keep the house readable."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.rules.source import ROOT, SOURCE, python_files, room_of, tree_of

MAX_LINES = 400
MAX_PUBLIC_NAMES = 16
SOURCE_FILES = python_files(SOURCE)


def own_files() -> list[Path]:
    """Source that people read: Python and shell."""
    folders = [ROOT / name for name in ("src", "tests", "benchmarks", "scripts", ".ci")]
    files = [file for folder in folders if folder.is_dir() for file in folder.rglob("*") if file.is_file()]
    return sorted(file for file in files if file.suffix in (".py", ".sh") or file.parent.name == ".ci")


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", own_files(), ids=name)
def test_no_file_is_long(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{lines} lines; split it by what it does"


@pytest.mark.parametrize("file", [item for item in SOURCE_FILES if room_of(item) != "cli"], ids=name)
def test_only_the_command_line_prints(file: Path) -> None:
    calls = [node for node in ast.walk(tree_of(file)) if isinstance(node, ast.Call)]
    printing = [f"line {call.lineno}" for call in calls if ast.unparse(call.func) in ("print", "sys.stdout.write")]
    assert not printing, f"use logging, a return value or a callback: {printing}"


def public_names(file: Path) -> list[str] | None:
    """The file's `__all__`, or None."""
    for node in tree_of(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def defines_something_public(file: Path) -> bool:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, definitions) and not node.name.startswith("_") for node in tree_of(file).body)


@pytest.mark.parametrize("file", SOURCE_FILES, ids=name)
def test_public_names_are_listed_sorted_and_few(file: Path) -> None:
    names = public_names(file)
    if names is None:
        assert not defines_something_public(file), "give it an __all__"
        return
    assert names == sorted(names)
    assert len(names) == len(set(names))
    assert len(names) <= MAX_PUBLIC_NAMES, "a file with so many public names has more than one job"


@pytest.mark.parametrize("file", SOURCE_FILES, ids=name)
def test_every_file_says_what_it_is_for(file: Path) -> None:
    assert ast.get_docstring(tree_of(file)), "begin with a docstring of one line"


def test_no_drawer_for_odds_and_ends() -> None:
    drawers = [name(file) for file in SOURCE_FILES if file.stem in ("utils", "util", "helpers", "misc", "common")]
    assert not drawers, "name files by what they do"
