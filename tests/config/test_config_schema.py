"""Names and types against dataclasses."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from etude.config.request import Resolved
from etude.config.schema import Schema, describe
from etude.errors import UsageError


class Mode(enum.Enum):
    MEAN_STD = "mean_std"
    MIN_MAX = "min_max"


@dataclass
class Inner:
    rate: float = 1.0
    switch: int = False


@dataclass
class Outer:
    count: int = 1
    flag: bool = False
    name: str = "x"
    note: str | None = None
    kind: Literal["one", "two"] = "one"
    pair: tuple[int, int] = (1, 2)
    many: tuple[int, ...] = ()
    names: list[str] = field(default_factory=list)
    either: list[str] | str | None = None
    modes: dict[str, Mode] = field(default_factory=dict)
    where: Path | None = None
    inner: Inner = field(default_factory=Inner)
    anything: Any = None


class Shape:
    @classmethod
    def get_known_choices(cls) -> dict[str, Any]:
        return {"square": Square}


@dataclass
class Square(Shape):
    side: float = 1.0


def check(values: dict[str, Any], texts: dict[str, str] | None = None, cls: Any = Outer) -> dict[str, Any]:
    typed = dict.fromkeys(texts or {}, "command line (--x)")
    return Schema(Resolved(values, {**dict.fromkeys(values, "file c.yaml"), **typed}, texts=texts or {})).check(
        values, cls
    )


@pytest.mark.parametrize(
    ("key", "given", "checked"),
    [
        ("count", 1e3, 1000),
        ("flag", "yes", True),
        ("name", 7, "7"),
        ("note", None, None),
        ("kind", "two", "two"),
        ("pair", (3, 4), [3, 4]),
        ("many", [1, 2, 3], [1, 2, 3]),
        ("either", "all", "all"),
        ("either", ["a"], ["a"]),
        ("modes", {"STATE": "MIN_MAX"}, {"STATE": "MIN_MAX"}),
        ("modes", {"STATE": "min_max"}, {"STATE": "MIN_MAX"}),
        ("where", "a/b", "a/b"),
        ("inner", {"rate": 2, "switch": True}, {"rate": 2.0, "switch": True}),
        ("anything", [1, "a"], [1, "a"]),
    ],
)
def test_values_get_the_type_of_their_field(key: str, given: Any, checked: Any) -> None:
    assert check({key: given}) == {key: checked}


@pytest.mark.parametrize(
    ("key", "given", "told"),
    [
        ("count", "abc", "count must be a whole number, got 'abc' (file c.yaml)"),
        ("count", 1.5, "a whole number"),
        ("count", True, "a whole number"),
        ("flag", "maybe", "true or false"),
        ("name", True, "text"),
        ("kind", "tow", "one of one, two"),
        ("pair", [1], "a list of 2"),
        ("many", "1", "a list"),
        ("modes", {"STATE": "MIN"}, "one of MEAN_STD, MIN_MAX"),
        ("inner", 3, "a mapping"),
        ("inner", {"rate": "fast"}, "inner.rate must be a number"),
    ],
)
def test_a_wrong_type_says_what_is_expected(key: str, given: Any, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        check({key: given})
    assert told in caught.value.message


def test_typed_lists_and_texts() -> None:
    values = {"names": "a,b", "many": 5, "name": 1e5, "note": True}
    texts = {"names": "a,b", "many": "5", "name": "1e5", "note": "True"}
    assert check(values, texts) == {"names": ["a", "b"], "many": [5], "name": "1e5", "note": "True"}


def test_null_in_a_file_is_not_given() -> None:
    assert check({"count": None, "note": None}) == {"note": None}
    with pytest.raises(UsageError):
        check({"count": None}, {"count": "None"})


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown key cuont in file c\.yaml") as caught:
        check({"cuont": 1})
    assert "count" in str(caught.value.hint)
    with pytest.raises(UsageError, match="unknown flag --rate") as caught:
        Schema(Resolved({}, {"rate": "command line (--rate)"}), lambda: ["inner.rate"]).check({"rate": 1}, Outer)
    assert "--inner.rate" in str(caught.value.hint)


def test_choices() -> None:
    assert check({"type": "square", "side": 2}, cls=Shape) == {"type": "square", "side": 2.0}
    for values, told in (
        ({}, "missing"),
        ({"type": "sqare"}, "square"),
        ({"type": "square", "edge": 1}, "no such setting"),
    ):
        with pytest.raises(UsageError) as caught:
            check(values, cls=Shape)
        assert told in caught.value.message + str(caught.value.hint)


def test_types_in_words() -> None:
    assert describe(tuple[int, int] | None) == "a list of 2: a whole number, a whole number or null"
    assert describe(list[str]) == "a list, each text"
