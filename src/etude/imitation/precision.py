"""Which number format the forward pass uses."""

from __future__ import annotations

from typing import Any

__all__ = ["choose_precision"]


def choose_precision(asked: str, policy_config: Any) -> str:
    """The precision that `--precision` stands for: no | bf16 | fp16. The settings have checked the name.

    `policy` follows LeRobot: the policy's own `dtype`, else `use_amp` with autocast's default for the device. So does
    `auto`, to begin with: bfloat16 is then one of the accelerations that are measured.
    """
    if asked not in ("policy", "auto"):
        return asked
    if hasattr(policy_config, "dtype"):
        return {"bfloat16": "bf16", "float16": "fp16"}.get(str(policy_config.dtype), "no")
    if getattr(policy_config, "use_amp", False):
        return "bf16" if policy_config.device == "cpu" else "fp16"
    return "no"
