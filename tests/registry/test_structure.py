"""Which folders hold a whole policy."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.errors import RegistryError
from etude.registry.structure import check_structure, check_tensors
from tests.registry.handmade import write_policy, write_tensors

STATE = "policy_preprocessor_step_3_normalizer_processor.safetensors"


def test_a_whole_policy_passes(tmp_path: Path) -> None:
    write_policy(tmp_path)
    check_structure(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "adapter_model.safetensors")  # a low-rank adapter
    check_structure(tmp_path)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "policy_preprocessor.json", "policy_postprocessor.json", STATE]
)
def test_every_part_is_needed(tmp_path: Path, name: str) -> None:
    write_policy(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(RegistryError, match=name):
        check_structure(tmp_path)


def damage_json(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_json("config.json", "{}"), "names no policy type"),
        (damage_json("config.json", "[1]"), "no JSON object"),
        (damage_json("config.json", "{"), "not readable"),
        (damage_json("policy_preprocessor.json", "{}"), "lists no steps"),
        (damage_json("policy_preprocessor.json", '{"steps": [{"state_file": "../a.safetensors"}]}'), "not beside it"),
        (lambda folder: (folder / STATE).write_bytes(b""), "cut off"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], object], said: str) -> None:
    write_policy(tmp_path)
    damage(tmp_path)
    with pytest.raises(RegistryError, match=said):
        check_structure(tmp_path)


@given(
    sizes=st.lists(st.integers(0, 9), max_size=4), cut=st.integers(1, 10_000), more=st.binary(min_size=1, max_size=9)
)
def test_a_tensor_file_that_lacks_or_has_a_byte_is_refused(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], cut: int, more: bytes
) -> None:
    file = tmp_path_factory.mktemp("tensors") / "model.safetensors"
    write_tensors(file, {f"t{number}": b"\1\2\3\4" * size for number, size in enumerate(sizes)})
    check_tensors(file)
    whole = file.read_bytes()
    for changed in (whole[: -1 - cut % len(whole)], whole + more):
        file.write_bytes(changed)
        with pytest.raises(RegistryError, match="corrupt"):
            check_tensors(file)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [1]},
        {"dtype": "F32", "shape": "one", "data_offsets": [0, 4]},
        7,
    ],
)
def test_a_header_that_cannot_be_is_refused(tmp_path: Path, tensor: object) -> None:
    text = json.dumps({"weight": tensor}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)
    with pytest.raises(RegistryError, match="corrupt"):
        check_tensors(tmp_path / "a.safetensors")


def test_what_the_library_writes_passes(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    library = pytest.importorskip("safetensors.numpy")
    arrays = {"a": numpy.zeros((2, 3), numpy.float16), "b": numpy.ones(5, bool), "c": numpy.zeros((0, 4), numpy.int64)}
    library.save_file({**arrays, "d": numpy.array(1.0)}, tmp_path / "a.safetensors", {"format": "np"})
    check_tensors(tmp_path / "a.safetensors")
