"""Optimisers: the rate follows the batch; biases and norms are neither decayed nor scaled."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from viewfinder.core.optimizers import OPTIMIZERS
from viewfinder.recipes.parts import Optimizer
from viewfinder.training.optimizers import build_optimizer


def stepped(part: Optimizer, batch_size: int) -> tuple[dict, dict, dict]:
    """Parameters before one step, their gradients, and what the step took off them."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    net[2].requires_grad_(False)
    optimizer = build_optimizer(net, part, batch_size)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    gradients = {}
    for name, p in net.named_parameters():
        if p.requires_grad:
            p.grad = gradients[name] = torch.randn_like(p)
    optimizer.step()
    return (
        before,
        gradients,
        {name: before[name] - p.detach() for name, p in net.named_parameters()},
    )


def test_sgd_decays_matrices_alone_at_a_rate_that_follows_the_batch() -> None:
    part = Optimizer(name="sgd", lr=0.2, momentum=0.0, weight_decay=0.1)
    before, gradients, change = stepped(part, 512)
    rate = 0.2 * 512 / 256
    matrix = rate * (gradients["0.weight"] + 0.1 * before["0.weight"])
    torch.testing.assert_close(change["0.weight"], matrix)
    for name in ("0.bias", "1.weight", "1.bias"):
        torch.testing.assert_close(change[name], rate * gradients[name])
    assert not change["2.weight"].any() and not change["2.bias"].any()  # frozen


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adams_first_step_is_the_rate_along_each_sign(name: str) -> None:
    part = Optimizer(name=name, lr=0.01, weight_decay=0.5)
    before, gradients, change = stepped(part, 128)
    rate = 0.01 * 128 / 256
    for key in ("0.bias", "1.weight", "1.bias"):
        torch.testing.assert_close(change[key], rate * gradients[key].sign(), rtol=1e-6, atol=0)
    w, g = before["0.weight"], gradients["0.weight"]
    # decoupled in AdamW (Loshchilov and Hutter 2019), part of the gradient in Adam
    wanted = rate * (g.sign() + 0.5 * w) if name == "adamw" else rate * (g + 0.5 * w).sign()
    torch.testing.assert_close(change["0.weight"], wanted, rtol=1e-5, atol=1e-9)


def test_lars_scales_matrices_alone_by_their_norm_over_the_gradients() -> None:
    part = Optimizer(name="lars", lr=1.0, momentum=0.0, weight_decay=0.0)
    before, gradients, change = stepped(part, 256)
    w, g = before["0.weight"], gradients["0.weight"]
    # You et al. 2017: the local rate is 0.001 |w| / |g|
    torch.testing.assert_close(
        change["0.weight"], 0.001 * w.norm() / g.norm() * g, rtol=1e-6, atol=0
    )
    for name in ("0.bias", "1.weight", "1.bias"):
        torch.testing.assert_close(change[name], gradients[name])


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@pytest.mark.parametrize("decay_all", [True, False])
def test_biases_and_norms_decay_where_they_are_asked_to(name: str, decay_all: bool) -> None:
    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))
    part = Optimizer(name=name, weight_decay=0.25, decay_all=decay_all)
    groups = build_optimizer(net, part, 256).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for parameter in net.parameters():
        flat = parameter.ndim == 1
        assert decay[id(parameter)] == (0.25 if decay_all or not flat else 0)
