"""Randomness is derived, never carried.

Every draw comes from a generator seeded by (seed, purpose, epoch, step, rank), so a resumed run
needs no random state and repeats the uninterrupted one bit for bit.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


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
