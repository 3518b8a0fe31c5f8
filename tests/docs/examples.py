"""The command lines in the fenced blocks of the pages. The convention is told in docs/develop.md."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.rules.source import ROOT

LANGUAGES = ("", "console", "bash", "text")
RUN_MARK = "<!-- run -->"
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\s*$")


@dataclass(frozen=True)
class Example:
    """An `etude ...` line of a page.

    Attributes:
        words: what follows `etude`.
        output: the file that `>` names.
    """

    page: Path
    line: int
    words: tuple[str, ...]
    output: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line} etude {' '.join(self.words)[:60]}"


@dataclass(frozen=True)
class Block:
    """A fenced block with `etude` lines in it."""

    page: Path
    line: int
    examples: tuple[Example, ...]
    is_run: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """The README and every page of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The page's blocks that hold `etude` lines."""
    lines = page.read_text(encoding="utf-8").splitlines()
    found, start, before = [], None, ""
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if fence and start is None:
            start = (number, fence["language"], before.strip() == RUN_MARK)
        elif fence and start is not None:
            first, language, is_run = start
            examples = _examples(page, first, lines[first : number - 1])
            if language in LANGUAGES and examples:
                found.append(Block(page, first, examples, is_run))
            start = None
        before = line
    return found


def _examples(page: Path, first: int, lines: list[str]) -> tuple[Example, ...]:
    examples, joined, begun = [], "", 0
    for number, line in enumerate(lines, first + 1):
        begun = begun or number
        joined += line.removesuffix("\\")
        if line.endswith("\\"):
            joined += " "
            continue
        redirected = re.search(r"\s>\s*(\S+)", joined)
        examples += [Example(page, begun, words, redirected and redirected[1]) for words in commands(joined)]
        joined, begun = "", 0
    return tuple(examples)


def commands(line: str) -> list[tuple[str, ...]]:
    """The words after `etude`, for each `etude` that a shell line calls."""
    text = line.strip().removeprefix("$ ")
    if not re.search(r"(^|[\s/])etude\s", text + " "):
        return []
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    calls: list[list[str]] = [[]]
    for word in lexer:
        if re.fullmatch(r"[|&;]+", word):
            calls.append([])
        elif word[0] in "<>":
            calls[-1].append(">")
        else:
            calls[-1].append(word)
    return [tuple(_after_etude(call)) for call in calls if _is_etude(call)]


def _is_etude(call: list[str]) -> bool:
    program = next((word for word in call if "=" not in word), "")
    return Path(program).name == "etude"


def _after_etude(call: list[str]) -> list[str]:
    words = call[next(i for i, word in enumerate(call) if Path(word).name == "etude") + 1 :]
    return words[: words.index(">")] if ">" in words else words
