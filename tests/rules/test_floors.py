"""A file imports from a lower floor or from its own room; rooms on one floor never meet."""

from __future__ import annotations

import re

import pytest

from tests.rules.source import ROOT, SOURCE, Import, imports_of, python_files, room_of

ARCHITECTURE = ROOT / "docs" / "architecture.md"


def floors() -> dict[str, int]:
    """Room to floor, read from the drawing in docs/architecture.md: the page is the rule."""
    drawing = ARCHITECTURE.read_text(encoding="utf-8").split("```")[1]
    rooms = {}
    for line in drawing.strip().splitlines():
        floor, names = re.match(r"(\d)  ((?:\w+\s{2,3})*\w+)", line).groups()  # type: ignore[union-attr]
        rooms.update(dict.fromkeys(names.split(), int(floor)))
    return rooms


FLOORS = floors()
FILES = python_files(SOURCE)


def forbidden(room: str, target: Import) -> str | None:
    """Why `room` may not import `target`, or None."""
    other = target.room
    if other is None or other == room:
        return None
    if other not in FLOORS:
        return f"room {other!r} is not in docs/architecture.md"
    if FLOORS[other] < FLOORS[room] or FLOORS[room] == 0:
        return None  # the ground floor is two small files that belong together
    relation = "on the same floor" if FLOORS[other] == FLOORS[room] else "above it"
    return f"{room!r} imports {other!r}, which is {relation}"


def test_the_drawing_names_every_room() -> None:
    rooms = {room for file in FILES if (room := room_of(file)) is not None}
    assert rooms <= set(FLOORS), f"add to docs/architecture.md: {sorted(rooms - set(FLOORS))}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_only_from_lower_floors(file) -> None:  # type: ignore[no-untyped-def]
    room = room_of(file)
    if room is None or room not in FLOORS:
        return
    broken = [f"line {item.line}: {why}" for item in imports_of(file) if (why := forbidden(room, item))]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("room", "module", "allowed"),
    [
        ("data", "etude.runs.atomic", True),
        ("data", "etude.data.sources", True),
        ("data", "etude.policies", False),
        ("imitation", "etude.evaluation", False),
        ("runs", "etude.data", False),
        ("data", "etude.cli.data", False),
        ("cli", "etude.imitation", True),
    ],
)
def test_the_rule_itself(room: str, module: str, allowed: bool) -> None:
    assert (forbidden(room, Import(module, 1)) is None) is allowed
