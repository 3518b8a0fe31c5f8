"""Every command in the README and the pages exists, with flags that exist; marked ones are run."""

from __future__ import annotations

import contextlib
import io
import re
from functools import cache
from pathlib import Path

import pytest

from etude.cli import COMMANDS, main
from etude.cli.submit_arguments import read_submit
from etude.platforms.commands import COMMANDS as SUBMITTED
from etude.platforms.commands import translate
from tests.docs.examples import Block, Example, blocks, commands, pages
from tests.docs.workshop import quickened
from tests.rules.source import ROOT

BLOCKS = [block for page in pages() for block in blocks(page)]
EXAMPLES = [example for block in BLOCKS for example in block.examples]
# Commands whose settings are LeRobot's: too many for a help text; the command's own resolver knows them.
OPEN_ENDED = {("train",)}


@cache
def help_of(words: tuple[str, ...]) -> str:
    """What `etude WORDS --help` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        assert main([*words, "--help"]) == 0
    return printed.getvalue()


def command_of(example: Example) -> tuple[str, ...]:
    """What to ask `--help` of: one word, or more where the first has subcommands."""
    first = example.words[0]
    if example.words[:2] == ("data", "cache"):
        return example.words[:3]
    with_subcommands = first in ("data", "environment", "jobs", "models", "secrets", "submit")
    if with_subcommands and not example.words[1].startswith("-"):
        return example.words[:2]
    if first == "evaluate" and any(word.startswith("--dataset.") for word in example.words):
        return ("evaluate", "--dataset.root=DIR")  # a help of its own
    return (first,)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_command_exists(example: Example) -> None:
    assert example.words, "etude alone is no example"
    if example.words[0].startswith("-"):
        assert example.words[0] in ("--help", "-h", "--version", "-V")
        return
    assert example.words[0] in COMMANDS
    assert help_of(command_of(example))


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_its_flags_exist(example: Example, bare_workshop: Path) -> None:
    if example.words[0].startswith("-"):
        return
    command = command_of(example)
    if command in OPEN_ENDED:
        from etude.config import resolve

        if "--help" not in example.words:
            resolve(list(example.words[1:]))
        return
    words = example.words
    if words[0] == "submit" and "--help" not in words:
        # What is submitted is a command of its own: its flags are looked at as they will be when it is sent.
        submitted = read_submit(words[1:], tuple(SUBMITTED)).command
        translate(submitted)
        words = words[: words.index(submitted[0])]
    flags = [word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]
    known = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w.-]*", help_of(command))) | {"--help"}
    unknown = [flag for flag in flags if flag not in known]
    assert not unknown, f"etude {' '.join(command)} --help does not name them"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_run], ids=str)
def test_marked_blocks_run(block: Block, workshop: Path) -> None:
    for example in block.examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            assert main(quickened(example.words)) == 0, str(example)
        if example.output:
            (workshop / example.output).write_text(printed.getvalue(), encoding="utf-8")


def test_a_share_of_the_examples_runs() -> None:
    run = {example.words[0] for block in BLOCKS if block.is_run for example in block.examples}
    # They take minutes or half a minute, need MLflow, a vault, a workspace, a job.
    tested_elsewhere = {"quickstart", "doctor", "track", "secrets", "submit", "jobs", "environment"}
    assert run == set(COMMANDS) - tested_elsewhere


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    broken = [t for t in targets if t and "://" not in t and not (page.parent / t).exists()]
    assert not broken


def test_every_page_is_on_the_map() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    missing = [page.name for page in pages()[1:] if page.name != "index.md" and f"({page.name})" not in index]
    assert not missing, "add them to docs/index.md"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("$ etude doctor --json   # for a script", [("doctor", "--json")]),
        ("etude data check DIR && etude report RUN > page", [("data", "check", "DIR"), ("report", "RUN")]),
        ("HF_HUB_OFFLINE=1 .venv/bin/etude train --env='{\"a\": 1}'", [("train", '--env={"a": 1}')]),
        ("pip install etude", []),
        ("git clone https://example.org/etude here", []),
    ],
)
def test_reading_a_line(line: str, words: list[tuple[str, ...]]) -> None:
    assert commands(line) == words
