"""How models are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.errors import UsageError
from etude.registry.reference import ModelReference, check_name, parse_reference, spell

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("models:/drawer/3", ModelReference("mlflow", "drawer", version="3")),
        ("models:/drawer@champion", ModelReference("mlflow", "drawer", alias="champion")),
        ("models:/drawer@latest", ModelReference("mlflow", "drawer", alias="latest")),
        ("models:/drawer/latest", ModelReference("mlflow", "drawer", alias="latest")),
        ("models:/drawer", ModelReference("mlflow", "drawer", alias="latest")),
        ("models:/my drawer/1", ModelReference("mlflow", "my drawer", version="1")),
        ("azureml:drawer:7", ModelReference("azureml", "drawer", version="7")),
        ("azureml:drawer@latest", ModelReference("azureml", "drawer", alias="latest")),
        ("drawer", ModelReference(None, "drawer", alias="latest")),
        ("drawer:2", ModelReference(None, "drawer", version="2")),
        ("drawer/2", ModelReference(None, "drawer", version="2")),
        ("drawer@best", ModelReference(None, "drawer", alias="best")),
    ],
)
def test_what_is_meant(text: str, reference: ModelReference) -> None:
    assert parse_reference(text) == reference


@pytest.mark.parametrize(
    "text", ["", "a:b:c", "models:/", "models:/a/b/c", "azureml:", "a@b@c", "azureml://jobs/x", "a/"]
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(UsageError, match="no reference"):
        parse_reference(text)


@given(name=NAMES, version=st.integers(1, 10**6), kind=st.sampled_from(["mlflow", "azureml"]))
def test_what_is_printed_can_be_typed(name: str, version: int, kind: str) -> None:
    assert parse_reference(spell(kind, name, str(version))) == ModelReference(kind, name, version=str(version))


@given(NAMES)
def test_good_names_stay(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "a b", "-a", "a:b", "ä", "a" * 256])
def test_bad_names_are_refused_with_a_near_one(name: str) -> None:
    with pytest.raises(UsageError, match="no name for a model") as refused:
        check_name(name)
    assert refused.value.hint is not None
    assert check_name(refused.value.hint.removeprefix("for example "))
