"""Reading the project's own source: its files, their rooms, what they import."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "etude"


@dataclass(frozen=True)
class Import:
    """A module that a file imports, at its top or inside a function."""

    module: str
    line: int

    @property
    def room(self) -> str | None:
        """The room of `etude` it leads to; None for another package."""
        parts = self.module.split(".")
        if parts[0] != "etude" or len(parts) == 1:
            return None
        return None if parts[1].startswith("__") else parts[1]


def python_files(folder: Path) -> list[Path]:
    """Every Python file below `folder`."""
    return sorted(folder.rglob("*.py"))


def room_of(file: Path) -> str | None:
    """The first folder (or file) name below src/etude; None for the package's own `__init__.py`."""
    first = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    return None if first == "__init__" else first


@cache
def tree_of(file: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def imports_of(file: Path) -> Iterator[Import]:
    """Every import in the file, also those inside functions and `importlib.import_module("...")`."""
    for node in ast.walk(tree_of(file)):
        yield from imports_at(node, file)


def imports_at(node: ast.AST, file: Path) -> Iterator[Import]:
    """What one node imports."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, node.lineno)
    elif isinstance(node, ast.ImportFrom):
        base = absolute(node, file)
        # `from etude import data` names the room in the alias.
        for alias in node.names:
            yield Import(f"{base}.{alias.name}" if base == "etude" else base, node.lineno)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        name = ast.unparse(node.func).split(".")[-1]
        if name in ("import_module", "require", "__import__") and isinstance(node.args[0].value, str):
            yield Import(node.args[0].value, node.lineno)


def absolute(node: ast.ImportFrom, file: Path) -> str:
    """The module that a `from` statement names, with leading dots resolved."""
    if node.level == 0:
        return node.module or ""
    package = ("etude", *file.relative_to(SOURCE).parts[:-1])
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def tracked_files() -> list[Path]:
    """Files that git knows, or would add: not those it ignores."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    names = [name for name in listed.stdout.split("\0") if name]
    return [file for name in names if (file := ROOT / name).is_file()]
