"""What an error of LeRobot means while it makes a policy, said so that a user can act on it."""

from __future__ import annotations

import re
import socket
import urllib.error
from typing import Any

from etude.errors import CheckpointError, DeviceError, EtudeError, MissingExtraError, TrainingError, UsageError
from etude.policies.hub import causes, explain_hub

__all__ = ["MAKING_FAILS_WITH", "STEP_FAILS_WITH", "explain", "explain_step"]

# What LeRobot and the libraries below it raise when a policy or its processors cannot be made.
MAKING_FAILS_WITH = (OSError, RuntimeError, ValueError, KeyError, TypeError, ImportError, MemoryError)


def explain(error: BaseException, policy_config: Any, pretrained: Any) -> EtudeError:
    """The error to show in place of `error`.

    Args:
        policy_config: the policy's configuration.
        pretrained: where its weights come from; None trains from scratch.
    """
    kind = policy_config.type
    chain = list(causes(error))
    text = " ".join(str(chain[-1]).split())[:400]
    if isinstance(error, ImportError):
        return _missing_library(kind, text)
    if (full := _out_of_memory(error, f"policy {kind}", "choose a smaller policy, or a larger machine")) is not None:
        return full
    if (hub := explain_hub(error, kind, policy_config)) is not None:
        return hub
    if any(isinstance(cause, urllib.error.URLError | socket.gaierror) for cause in chain):
        return CheckpointError(
            f"the pretrained backbone of policy {kind} cannot be downloaded: {text}",
            hint="try again with a network, or start with random weights: --policy.pretrained_backbone_weights=null",
        )
    if pretrained is not None:
        return CheckpointError(f"the weights in {pretrained} do not fit: {text}")
    return UsageError(
        f"policy {kind} refuses this data or config: {text}",
        hint=f"its settings: etude train --policy.type={kind} --help",
    )


def _out_of_memory(error: BaseException, what: str, hint: str) -> DeviceError | None:
    """The error to show when memory ran out, on the device or beside it; None when it did not."""
    import torch

    for cause in causes(error):
        if isinstance(cause, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(cause):
            return DeviceError(f"{what} does not fit into the memory of this machine or its GPU", hint=hint)
    return None


# What a policy raises in a step on data that it was not made for.
STEP_FAILS_WITH = (RuntimeError, MemoryError, TypeError, ValueError, LookupError, AttributeError)


def explain_step(error: BaseException, kind: str, step: int, batch_size: int) -> EtudeError:
    """What to tell a user when update `step` of a policy of this type failed."""
    smaller = "use a smaller --batch_size, with --gradient_accumulation_steps for the same updates; or --precision=bf16"
    full = _out_of_memory(error, f"a step with batch_size={batch_size}", smaller)
    text = str(error).strip().partition("\n")[0]
    return full or TrainingError(
        f"policy {kind} failed at step {step}: {type(error).__name__}: {text or 'no message'}",
        hint="does the policy fit the data (`etude data info`)? --log_level=DEBUG shows where it failed",
    )


def _missing_library(kind: str, text: str) -> MissingExtraError:
    named = re.search(r"lerobot\[[\w-]+\]", text)  # the extra's name is not always the policy's
    return MissingExtraError(
        f"policy {kind} needs a library that is not installed: {text.partition('. Install')[0]}",
        hint=f"pip install '{named.group() if named else f'lerobot[{kind}]'}'",
    )
