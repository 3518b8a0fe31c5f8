"""Memory of batches is used again, and never while somebody looks at it."""

from __future__ import annotations

import gc

import torch
from hypothesis import given
from hypothesis import strategies as st

from etude.data.buffers import LEAST_BYTES, BufferPool


def test_a_buffer_is_used_again_once_its_last_view_is_gone() -> None:
    pool = BufferPool()
    first = pool.empty((LEAST_BYTES,), torch.uint8)
    address = first.data_ptr()
    view = first.reshape(2, -1)[1:]
    del first
    gc.collect()
    assert pool.empty((LEAST_BYTES,), torch.uint8).data_ptr() != address
    del view
    gc.collect()
    found = {pool.empty((LEAST_BYTES,), torch.uint8).data_ptr()}
    assert address in found


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=30))
def test_living_tensors_never_share_memory(requests: list[tuple[int, int]]) -> None:
    pool = BufferPool()
    living: dict[int, tuple[torch.Tensor, int]] = {}
    for number, (slot, size) in enumerate(requests):
        living.pop(slot, None)
        tensor = pool.empty((size, LEAST_BYTES), torch.uint8)
        tensor.fill_(number % 251)
        living[slot] = (tensor[:, ::4096], number % 251)
        assert all(bool((view == value).all()) for view, value in living.values())


def test_shape_and_type() -> None:
    tensor = BufferPool().empty((2, 3, 512, 512), torch.float32)
    assert tensor.shape == (2, 3, 512, 512)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
