"""Randomness is derived, never carried.

Every draw comes from a generator seeded by (seed, purpose, epoch, step, rank), so a resumed run
needs no random state and repeats the uninterrupted one bit for bit.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor


def derive(seed: int, purpose: str, *, epoch: int = 0, step: int = 0, rank: int = 0) -> int:
    """A 63-bit seed from the coordinates of a draw: equal inputs, equal seed, on every machine."""
    text = f"{seed}/{purpose}/{epoch}/{step}/{rank}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def torch_generator(
    seed: int,
    purpose: str,
    *,
    epoch: int = 0,
    step: int = 0,
    rank: int = 0,
    device: torch.device | str = "cpu",
) -> torch.Generator:
    """A torch generator on ``device`` for one purpose at one place of a run."""
    generator = torch.Generator(device=device)
    return generator.manual_seed(derive(seed, purpose, epoch=epoch, step=step, rank=rank))


def numpy_generator(
    seed: int, purpose: str, *, epoch: int = 0, step: int = 0, rank: int = 0
) -> np.random.Generator:
    """A numpy generator for one purpose at one place of a run."""
    return np.random.default_rng(derive(seed, purpose, epoch=epoch, step=step, rank=rank))


def seed_layers(seed: int, device: torch.device, **at: int) -> None:
    """Seed torch's global streams, which layers such as dropout draw from, for one place of a run:
    there is nothing to restore.

    at  epoch, step and rank, as in ``derive``
    """
    derived = derive(seed, "network", **at)
    # torch.manual_seed for the devices that there are: that of all takes half a millisecond
    torch.default_generator.manual_seed(derived)
    if device.type == "cuda":
        torch.cuda.manual_seed(derived)


def drawn_for(keys: Tensor, count: int, below: int, seed: int) -> Tensor:
    """``count`` integers of [0, below) for each key, uniform: int64 (N,) -> int64 (N, count).

    A function of the key, the seed and the place alone (SplitMix64, Steele et al. 2014, with a
    stream per key): the same on every device, and whichever rank the key is on. below <= 2^31

    >>> drawn_for(torch.tensor([7, 3, 7]), 2, 10, seed=0).tolist()
    [[5, 3], [8, 4], [5, 3]]
    """
    stream = _mixed(keys.to(torch.int64, copy=True).add_(_signed(seed * _GAMMA)))
    places = torch.arange(1, count + 1, device=keys.device).mul_(_signed(_GAMMA))
    # the highest bits as a fraction, times ``below``: as many of them as int64 has room for
    bits = 63 - below.bit_length()
    fraction = (_mixed(stream[:, None] + places) >> (64 - bits)).bitwise_and_(2**bits - 1)
    return fraction.mul_(below).bitwise_right_shift_(bits)


_GAMMA = 0x9E3779B97F4A7C15


def _signed(x: int) -> int:
    """The int64 with the low 64 bits of x."""
    return (x + 2**63) % 2**64 - 2**63


def _mixed(x: Tensor) -> Tensor:
    """SplitMix64's finaliser, in place: every bit of the result depends on every bit of x."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x.bitwise_xor_((x >> shift).bitwise_and_(2 ** (64 - shift) - 1)).mul_(_signed(factor))
    return x.bitwise_xor_((x >> 31).bitwise_and_(2**33 - 1))
