"""Putting accelerations on a policy and its optimizer, and taking them off again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from etude.imitation.acceleration.settings import Acceleration
from etude.imitation.learner import KERNEL_FLAGS, Learner

__all__ = ["apply", "matmul_is_exact"]

FUSIBLE = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad)


def apply(acceleration: Acceleration, learner: Learner, batch_size: int) -> None:
    """Make the learner's step use exactly these accelerations.

    Args:
        batch_size: samples in a full batch: what a compiled policy is compiled for. Others run uncompiled.
    """
    _route_matrix_products(acceleration.fast_matmul)
    _lay_out(learner.policy, channels_last=acceleration.channels_last)
    _fuse(learner.bare_optimizer, acceleration.fused_optimizer)
    _convolve_in_float32(learner.policy, acceleration.bf16 == "matmul")
    learner.autocast = torch.bfloat16 if acceleration.bf16 != "off" else None
    _compile(learner, acceleration.compile, batch_size)


def _route_matrix_products(by_onednn: bool) -> None:
    # oneDNN takes float32 products only when allowed to round to bfloat16, which it does on processors with matrix
    # units (AMX) alone; `matmul_is_exact` finds out. MKL, the default, uses half of the vector width on AMD.
    if not torch.backends.mkldnn.is_available():
        return
    torch.backends.mkldnn.matmul.fp32_precision = "bf16" if by_onednn else "none"  # type: ignore[attr-defined]


def matmul_is_exact() -> bool:
    """Whether there is oneDNN, and its float32 products on this processor are as exact as MKL's."""
    if not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(64, 512, generator=generator), torch.randn(512, 64, generator=generator)
    exact = left.double() @ right.double()
    errors = []
    before = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    try:
        for by_onednn in (False, True):
            _route_matrix_products(by_onednn)
            errors.append(float((left @ right - exact).abs().max()))
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before  # type: ignore[attr-defined]
    return errors[1] < 8 * errors[0]


def _lay_out(policy: nn.Module, *, channels_last: bool) -> None:
    wanted = torch.channels_last if channels_last else torch.contiguous_format
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.dim() == 4 and not parameter.is_contiguous(memory_format=wanted):
                parameter.data = parameter.data.contiguous(memory_format=wanted)
                parameter.grad = None  # a gradient has its parameter's layout


def _fuse(optimizer: torch.optim.Optimizer, fused: bool) -> None:
    fused = fused and isinstance(optimizer, FUSIBLE)
    for group in optimizer.param_groups:
        for flag in KERNEL_FLAGS & group.keys():
            group[flag] = optimizer.defaults[flag]
        if fused:
            group |= {"fused": True, "foreach": False}
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if not isinstance(value, torch.Tensor):
                continue
            if name == "step":
                state[name] = value.to(parameter.device if fused else "cpu")
            elif value.shape == parameter.shape and value.stride() != parameter.stride():
                # A fused kernel walks parameter and state side by side through memory.
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _convolve_in_float32(policy: nn.Module, wanted: bool) -> None:
    for module in policy.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d)):
            if wanted:
                module.forward = _Float32Forward(module)  # type: ignore[method-assign, assignment]
            else:
                module.__dict__.pop("forward", None)


class _Float32Forward:
    """A convolution outside of autocast: some processors compute its gradients in bfloat16 slower than in float32."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        with torch.autocast(pictures.device.type, enabled=False):
            result: torch.Tensor = type(self._module).forward(self._module, pictures.float())
        return result


def _compile(learner: Learner, mode: str, batch_size: int) -> None:
    policy: Any = learner.policy
    learner.full_batch = None if mode == "off" else batch_size
    if mode != "off" and mode not in learner.compiled:
        import torch._dynamo
        import torch._inductor.config

        torch._inductor.config.fallback_random = True  # dropout and noise draw the numbers that they draw uncompiled
        torch._dynamo.config.suppress_errors = True  # what cannot be compiled later on runs as it is
        policy.compile(dynamic=False, mode="reduce-overhead" if mode == "graphs" else None)
        learner.compiled[mode] = policy._compiled_call_impl
    policy._compiled_call_impl = learner.compiled.get(mode)


@contextlib.contextmanager
def errors_shown() -> Iterator[None]:
    """Compiling raises what goes wrong while the block runs, instead of giving up silently."""
    import torch._dynamo

    torch._dynamo.config.suppress_errors = False
    try:
        yield
    finally:
        torch._dynamo.config.suppress_errors = True
