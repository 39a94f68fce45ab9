"""Invertible generators: undone exactly, and their change of volume that of autograd's Jacobian."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import seeded
from torch import Tensor
from trained_generators import trained

from viewfinder.views.generator import Generator, Kind

KINDS = get_args(Kind)


def images(n: int, channels: int, side: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(n, channels, side, side, generator=seeded(3))


@given(
    kind=st.sampled_from(KINDS),
    channels=st.integers(2, 5),
    blocks=st.integers(1, 9),
    units=st.integers(1, 24),
    scale=st.floats(0.01, 3.0),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_it_is_undone_to_1e_5(
    kind: Any, channels: int, blocks: int, units: int, scale: float, seed: int
) -> None:
    """Of the largest number on the way: float32 has no more."""
    torch.manual_seed(seed)
    g, x = trained(Generator(channels, kind, blocks, units), 0.15), images(2, channels, 6, scale)
    with torch.no_grad():
        for there, back in ((g, g.inverse), (g.inverse, g)):
            y = there(x)
            largest = max(1.0, float(x.abs().max()), float(y.abs().max()))
            torch.testing.assert_close(back(y), x, atol=1e-5 * largest, rtol=0)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_its_change_of_volume_is_that_of_the_jacobian(kind: Any, channels: int) -> None:
    torch.manual_seed(channels)
    g = trained(Generator(channels, kind)).double()
    x = images(3, channels, 2).double()
    y, volume = g.transformed(x)
    assert torch.equal(y, g(x)) and volume.shape == (3,) and volume.dtype == torch.float64
    for one, own in zip(x, volume, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda a: g(a[None])[0], one)
        whole = jacobian.reshape(one.numel(), one.numel())
        torch.testing.assert_close(torch.linalg.slogdet(whole)[1], own, atol=1e-9, rtol=0)
    assert bool((volume == 0).all()) == (kind == "vp")


@pytest.mark.parametrize("kind", KINDS)
def test_a_pixel_depends_on_itself_alone_and_every_output_on_every_channel(kind: Any) -> None:
    torch.manual_seed(0)
    g, x = trained(Generator(3, kind)).double(), images(2, 3, 4).double()
    jacobian = torch.autograd.functional.jacobian(g, x)  # (2, 3, 4, 4) twice
    own = torch.einsum("ncijndij->nijcd", jacobian)
    assert (own != 0).all()
    assert jacobian.count_nonzero() == own.count_nonzero()


@pytest.mark.parametrize("kind", KINDS)
def test_each_block_keeps_the_next_channel(kind: Any) -> None:
    torch.manual_seed(0)
    g, x = trained(Generator(3, kind, blocks=4)), torch.randn(3, 50)
    for number, block in enumerate(g.blocks):
        y = block(x)[0]
        same = [bool(torch.equal(a, b)) for a, b in zip(x, y, strict=True)]
        assert same == [channel == number % 3 for channel in range(3)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_untrained_one_is_the_identity_and_learns(kind: Any) -> None:
    g, x = Generator(3, kind), images(2, 3, 4)
    assert torch.equal(g(x), x)
    g(x).square().sum().backward()
    for name, parameter in g.named_parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad.any()) == ("out" in name)  # the rest when these are not 0


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_right_and_its_input_stays(kind: Any) -> None:
    torch.manual_seed(0)
    g, x = trained(Generator(3, kind, blocks=3, units=4)).double(), images(2, 3, 2).double()
    before = x.clone()
    names = [name for name, _ in g.named_parameters()]

    def of(x: Tensor, *parameters: Tensor) -> Any:
        return torch.func.functional_call(g, dict(zip(names, parameters, strict=True)), x)

    assert torch.autograd.gradcheck(of, (x.requires_grad_(), *g.parameters()))
    assert torch.equal(x, before)


def test_an_autocast_leaves_it_exact() -> None:
    g, x = trained(Generator(3)), images(2, 3, 4)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert torch.equal(g(x), Generator.forward(g, x)) and g(x).dtype == torch.float32
        torch.testing.assert_close(g.inverse(g(x)), x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"channels": 1}, "two channels"),
        ({"channels": 3, "blocks": 0}, "a block"),
        ({"channels": 3, "units": 0}, "a unit"),
        ({"channels": 3, "kind": "glow"}, "kind must be one of"),
    ],
)
def test_what_it_cannot_be_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Generator(**given)
