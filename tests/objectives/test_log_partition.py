"""The kernel against torch.logsumexp of the full matrix, and what it never holds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from viewfinder.objectives import log_partition as kernel
from viewfinder.objectives import nt_xent
from viewfinder.objectives.log_partition import log_partition, log_partition_within
from viewfinder.objectives.similarity import unit


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(
    anchors=st.integers(1, 7),
    keys=st.integers(1, 9),
    block=st.integers(1, 40),
    temperature=st.sampled_from([0.01, 0.2, 1.0, 5.0]),
    groups=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_equals_the_full_matrix(
    anchors: int, keys: int, block: int, temperature: float, groups: bool, seed: int
) -> None:
    a, k = draw(seed, anchors, 3).requires_grad_(), draw(seed + 1, keys, 3).requires_grad_()
    generator = torch.Generator().manual_seed(seed)
    anchor_group = torch.randint(0, 3, (anchors,), generator=generator) if groups else None
    key_group = torch.randint(-1, 3, (keys,), generator=generator) if groups else None
    weights = draw(seed + 2, anchors)

    full = a @ k.T / temperature
    if anchor_group is not None and key_group is not None:
        out = (anchor_group[:, None] == key_group) | (key_group < 0)
        full = full.masked_fill(out, float("-inf"))
    some = full.isfinite().any(dim=1)  # torch's own gradient is NaN where nothing is left
    wanted = full[some].logsumexp(dim=1)
    wanted_gradient = torch.autograd.grad((wanted * weights[some]).sum(), [a, k])

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kernel.BLOCK, "cpu", block)
        ours = log_partition(a, k, temperature, anchor_group=anchor_group, key_group=key_group)
        finite = torch.where(some, ours, 0)
        gradient = torch.autograd.grad((finite * weights).sum(), [a, k])
    torch.testing.assert_close(ours[some], wanted, rtol=1e-12, atol=1e-12)
    assert (ours[~some] == float("-inf")).all()
    torch.testing.assert_close(gradient, wanted_gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("temperature", [0.002, 0.02, 0.03, 0.5])
@pytest.mark.parametrize("rows", [2, 3, 10])
def test_within_one_set_equals_the_full_matrix(
    rows: int, temperature: float, dtype: torch.dtype
) -> None:
    """On both sides of the temperature from which no maximum need be subtracted."""
    z = unit(draw(0, rows, 4)).to(dtype).requires_grad_()
    full = (z.double() @ z.double().T / temperature).fill_diagonal_(float("-inf"))
    wanted = full.logsumexp(dim=1)
    ours = log_partition_within(z, temperature)
    rough = 1e-6 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(ours.double(), wanted, rtol=rough, atol=rough / temperature)
    weights = draw(1, rows).to(dtype)
    (gradient,) = torch.autograd.grad((ours * weights).sum(), z)
    (wanted_gradient,) = torch.autograd.grad((wanted * weights.double()).sum(), z)
    largest = wanted_gradient.abs().max()
    assert (gradient - wanted_gradient).abs().max() <= rough / temperature * (1 + largest)


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for x in result if isinstance(result, tuple | list) else [result]:
            if isinstance(x, Tensor):
                self.elements = max(self.elements, x.numel())
        return result


@pytest.mark.parametrize("rows", [None, slice(0, 128)])
def test_the_full_matrix_is_never_there(
    rows: slice | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kernel.BLOCK, "cpu", 5000)
    z0, z1 = draw(0, 256, 8).requires_grad_(), draw(1, 256, 8).requires_grad_()
    with Largest() as largest:
        nt_xent(z0, z1, 0.2, rows=rows).backward()
    assert 2 * 256 * 8 <= largest.elements <= 5000


def test_unit_vectors_where_there_is_no_direction() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-20, 0.0]], requires_grad=True)
    y = unit(x)
    torch.testing.assert_close(y[:2], torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    (y * torch.tensor([1.0, 2.0])).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.equal(x.grad[1], torch.zeros(2))
    with pytest.raises(ValueError, match="floating point"):
        unit(torch.zeros(2, 3, dtype=torch.int64))


def test_a_second_derivative_is_refused_and_not_wrong() -> None:
    z = draw(0, 4, 3).requires_grad_()
    for rows in (None, slice(0, 2)):
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(nt_xent(z, z, 0.5, rows=rows), z, create_graph=True)
