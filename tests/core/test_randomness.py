"""Integers that depend on a seed and a key alone."""

from __future__ import annotations

import pytest
import torch

from viewfinder.core.randomness import _signed, drawn_for

MASK, GAMMA = 2**64 - 1, 0x9E3779B97F4A7C15


def mixed(x: int) -> int:
    """SplitMix64's finaliser, as it is published."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def test_the_reference_here_is_splitmix64() -> None:
    """The first numbers of the generator with seed 0, as published with it."""
    assert [mixed(i * GAMMA & MASK) for i in (1, 2)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@pytest.mark.parametrize("below", [1, 2, 10, 50_000, 2**31])
@pytest.mark.parametrize("seed", [0, 3, 2**62 + 12345])
def test_equals_the_reference(below: int, seed: int) -> None:
    keys = [0, 7, 1_281_166]
    bits = 63 - below.bit_length()
    for key, drawn in zip(
        keys, drawn_for(torch.tensor(keys), 5, below, seed).tolist(), strict=True
    ):
        state = mixed((key + seed * GAMMA) & MASK)
        outputs = [mixed((state + place * GAMMA) & MASK) for place in range(1, 6)]
        assert drawn == [(x >> (64 - bits)) * below >> bits for x in outputs]


def test_uniform_over_values_keys_and_places() -> None:
    drawn = drawn_for(torch.arange(400), 250, 50, seed=1)
    assert (int(drawn.min()), int(drawn.max())) == (0, 49)
    for part in (drawn, drawn[:, :5], drawn[:5]):
        counts = part.flatten().bincount(minlength=50).double()
        expected = part.numel() / 50
        # chi squared with 49 degrees of freedom: above 100 in one of 30,000 draws
        assert ((counts - expected) ** 2 / expected).sum() < 100
    # neighbours among keys and among places have nothing to do with each other
    x = drawn.double() - 24.5
    for a, b in ((x[1:], x[:-1]), (x[:, 1:], x[:, :-1])):
        assert abs((a * b).mean() / (x**2).mean()) < 0.02


def test_a_key_has_its_draws_wherever_it_stands() -> None:
    keys = torch.tensor([5, 9, 5, 2])
    drawn = drawn_for(keys, 6, 1000, seed=4)
    assert torch.equal(drawn[0], drawn[2])
    assert torch.equal(drawn[2:], drawn_for(keys[2:], 6, 1000, seed=4))
    assert not torch.equal(drawn, drawn_for(keys, 6, 1000, seed=5))
    assert keys.tolist() == [5, 9, 5, 2]


def test_signed() -> None:
    assert [_signed(x) for x in (1, 2**63, 2**64 + 5)] == [1, -(2**63), 5]
