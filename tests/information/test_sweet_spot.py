"""The sweet spot on ``shapes``, where what views share, and the task's part of it, are known.

A view is an image that has some factors of another one and is otherwise drawn anew, so two views
share the entropy of those factors, and an encoder is trained by contrast alone. Read from few
labels it is best where the views share the task and nothing beside it (Tian et al. 2020, 3.2).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from viewfinder.data.shapes.source import shapes_split
from viewfinder.information.discrete import information
from viewfinder.losses import NTXent
from viewfinder.papers.claims import Claim, judge, reverse_u
from viewfinder.papers.result import Spread

SIDE, N, FEW, HELD_OUT, STEPS, SEEDS = 16, 2000, 40, 400, 120, 4
TASK = ("right", "low")  # the quarter of the image that the object is in: 2 bits
REGIMES = {
    "missing information": ("right",),
    "sweet spot": TASK,
    "excess noise": (*TASK, "image"),
}


def world(name: str, n: int) -> tuple[Tensor, dict[str, np.ndarray]]:
    """Images, float (n, D), and their factors; "image" is which one it is."""
    split = shapes_split(name, np.arange(n), SIDE)
    quarter = (split.factors["position"] > SIDE / 2).astype(int)
    images = split.data.read(np.arange(n)).float().flatten(1) / 255 - 0.5
    return images, {"right": quarter[:, 0], "low": quarter[:, 1], "image": np.arange(n)}


def joint(factors: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    rows = np.stack([factors[name] for name in names], 1)
    found: np.ndarray = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    return found


def partners(z: np.ndarray, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of each image one of those that share its factors."""
    order = np.argsort(z, kind="stable")
    first, size = np.searchsorted(z[order], z[index]), np.bincount(z)[z[index]]
    return order[first + (rng.random(len(index)) * size).astype(int)]


def accuracy(z: np.ndarray, images: Tensor, task: np.ndarray, seed: int) -> float:
    """Train by contrast of views that share z; read the task from the neighbours of few labels."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    sizes = (images.shape[1], 128, 64, 16)
    layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes[:-1])]
    net = nn.Sequential(*layers, nn.Linear(*sizes[-2:]))
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.05)
    loss = NTXent(0.1)
    for _ in range(STEPS):
        index = rng.integers(0, len(z), 128)
        both = images[np.concatenate([index, partners(z, index, rng)])]
        out = net(both + 0.05 * torch.randn_like(both))
        optimizer.zero_grad()
        loss(*out.chunk(2)).backward()
        optimizer.step()
    few, (held_out, facts) = world(f"few {seed}", FEW), world("test", HELD_OUT)
    labels, wanted = joint(few[1], TASK), joint(facts, TASK)
    with torch.no_grad():
        known, asked = (F.normalize(net(x), dim=1) for x in (few[0], held_out))
    near = (asked @ known.T).topk(3).indices
    votes = F.one_hot(torch.as_tensor(labels)[near], 4).sum(1)
    return float((votes.argmax(1) == torch.as_tensor(wanted)).float().mean())


def test_the_encoder_is_best_where_views_share_the_task_and_nothing_else() -> None:
    images, factors = world("train", N)
    task = joint(factors, TASK)
    points, shared, useful = [], [], []
    for names in REGIMES.values():
        z = joint(factors, names)
        found = information(z, task, unit="bits")
        shared.append(found.h_z)
        useful.append(found.i)
        values = tuple(accuracy(z, images, task, seed) for seed in range(SEEDS))
        points.append((found.h_z, f"{found.h_z:.1f} bits", Spread(values)))
    # by construction 1, 2 and log2 N bits are shared, of which 1, 2 and 2 are the task's
    assert shared == pytest.approx([1, 2, np.log2(N)], abs=0.02)
    assert useful == pytest.approx([1, 2, 2], abs=0.02)
    (verdict,) = judge([Claim("accuracy is a reverse U over what is shared", reverse_u(points))])
    means = [spread.mean for _, _, spread in points if spread is not None]
    assert verdict.holds is True, (verdict, means)
    assert means[1] == max(means)
    assert means[0] < 0.6  # one bit tells one of two halves: at most one half, beyond chance
