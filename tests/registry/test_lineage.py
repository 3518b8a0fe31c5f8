"""What a version carries, and that it survives the tags of a registry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.registry.lineage import FileSeal, Lineage, content_digest, facts_of, lineage_from

TEXT = st.text(max_size=30)
SEALS = st.builds(FileSeal, st.integers(0, 2**40), st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
LINEAGES = st.builds(
    Lineage,
    digest=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    files=st.dictionaries(st.text(min_size=1, max_size=20), SEALS, max_size=5),
    checkpoint=st.fixed_dictionaries({"step": st.integers(0, 10**7)}),
    run=st.dictionaries(TEXT, TEXT, max_size=3),
    dataset=st.fixed_dictionaries({"repo_id": TEXT, "fingerprint": TEXT}),
    packages=st.dictionaries(TEXT, TEXT, max_size=3),
)


@given(lineage=LINEAGES, longest=st.integers(60, 1000))
def test_it_goes_into_tags_and_back(lineage: Lineage, longest: int) -> None:
    tags, pieces = facts_of(lineage, longest)
    assert max(map(len, [*tags.values(), *pieces.values()])) <= longest
    assert lineage_from({**tags, **pieces, "robot": "left"}) == lineage


def test_somebody_elses_version_has_none() -> None:
    assert lineage_from({}) is None
    assert lineage_from({"etude.lineage.00": "{"}) is None
    assert lineage_from({"etude.lineage.00": '{"digest": "a"}'}) is None


def test_a_later_versions_fields_are_left_out() -> None:
    lineage = Lineage("d", {"a": FileSeal(1, "b")})
    assert Lineage.from_dict({**lineage.to_dict(), "weather": "rain"}) == lineage


def test_the_digest_is_of_the_checkpoints_own_files() -> None:
    files = {"config.json": FileSeal(1, "a"), "model.safetensors": FileSeal(2, "b")}
    digest = content_digest(files)
    assert digest == content_digest({**files, "lineage/config.json": FileSeal(3, "c")})
    assert digest == content_digest(dict(reversed(files.items())))
    assert digest != content_digest({**files, "config.json": FileSeal(1, "c")})
    assert digest != content_digest({"other.json": FileSeal(1, "a"), "model.safetensors": FileSeal(2, "b")})


def test_tags_are_for_people() -> None:
    rate = {"value": 0.8, "low": 0.49, "high": 0.943, "method": "wilson", "confidence": 0.95}
    lineage = Lineage("d", {}, {"step": 100}, policy={"type": "act"}, evaluation={"success_rate": rate})
    tags, _ = facts_of(lineage, 900)
    assert tags["etude.success_rate"] == "0.800 [0.490, 0.943]"
    assert tags["etude.step"] == "100"
    assert "etude.dataset" not in tags


def test_what_is_no_lineage_is_refused() -> None:
    with pytest.raises(ValueError, match="no lineage"):
        Lineage.from_dict({"digest": "a", "files": {"b": {"size": 1}}})
