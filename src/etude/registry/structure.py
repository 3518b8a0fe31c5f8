"""Whether a folder holds a whole policy, told from its files alone: no torch, no LeRobot."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from etude.errors import RegistryError

__all__ = ["check_structure"]

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")
LONGEST_HEADER = 100_000_000  # the limit that the format itself sets
BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


def check_structure(folder: Path) -> None:
    """Refuse a folder that lacks a part of a policy: config, weights, both processors and the files they name.

    Raises:
        RegistryError: a file is absent, cut off or not readable.
    """
    config = _json_object(folder / CONFIG)
    if "type" not in config:
        raise RegistryError(f"{folder / CONFIG} names no policy type")
    weights = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not weights:
        raise RegistryError(f"{folder} is not a whole policy: {WEIGHTS[0]} is missing")
    for file in weights:
        check_tensors(file)
    for name in PROCESSORS:
        _check_processor(folder, name)


def _check_processor(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        raise RegistryError(
            f"{folder} is not a whole policy: {name} is missing",
            hint="a policy saved by an old LeRobot is brought up to date by "
            f"`python -m lerobot.processor.migrate_policy_normalization --pretrained-path {folder}`",
        )
    steps = _json_object(folder / name).get("steps")
    if not isinstance(steps, list):
        raise RegistryError(f"{folder / name} lists no steps")
    for step in steps:
        state = step.get("state_file") if isinstance(step, dict) else None
        if state is None:
            continue
        if Path(str(state)).name != state:
            raise RegistryError(f"{folder / name} names the file {state!r}, which is not beside it")
        if not (folder / state).is_file():
            raise RegistryError(f"{folder} is not a whole policy: {name} names {state}, which is missing")
        check_tensors(folder / state)


def check_tensors(file: Path) -> None:
    """Compare the header of a safetensors file with its size.

    The format: https://huggingface.co/docs/safetensors (a length of 8 bytes, a JSON header, the tensors in order).

    Raises:
        RegistryError: the header cannot be read, or tensors are cut off, overlap or leave gaps.
    """
    total = file.stat().st_size
    with open(file, "rb") as opened:
        first = opened.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else LONGEST_HEADER
        if length >= LONGEST_HEADER or 8 + length > total:
            raise RegistryError(f"{file} is corrupt: it is no safetensors file, or was cut off")
        try:
            header = json.loads(opened.read(length))
            spans = sorted(_span(header[name]) for name in header if name != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RegistryError(f"{file} is corrupt: its header is not readable") from error
    end = 0
    for start, stop in spans:
        if start != end:
            raise RegistryError(f"{file} is corrupt: its tensors do not follow each other")
        end = stop
    if 8 + length + end != total:
        raise RegistryError(f"{file} is corrupt: {total} bytes, where its header names {8 + length + end}")


def _span(tensor: Any) -> tuple[int, int]:
    """Where a tensor begins and ends; ValueError where that is not what its shape takes."""
    start, stop = map(int, tensor["data_offsets"])
    bits = BITS.get(tensor["dtype"])
    needed = None if bits is None else math.ceil(bits * math.prod(map(int, tensor["shape"])) / 8)
    if start < 0 or stop < start or (needed is not None and stop - start != needed):
        raise ValueError("a tensor of the wrong size")
    return start, stop


def _json_object(file: Path) -> dict[str, Any]:
    try:
        payload = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RegistryError(f"{file.parent} is not a whole policy: {file.name} is missing") from error
    except (ValueError, OSError) as error:
        raise RegistryError(f"{file} is not readable: {error}") from error
    if not isinstance(payload, dict):
        raise RegistryError(f"{file} is not readable: no JSON object")
    return payload
