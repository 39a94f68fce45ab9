"""The momentum update, against other implementations, and what it leaves alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from golden.cases import Case, golden_cases
from torch import nn

from viewfinder.networks.momentum import ema_update


@pytest.mark.parametrize("case", golden_cases("ema"))
def test_golden_ema(case: Case) -> None:
    target, online = nn.Linear(3, 4).double(), nn.Linear(3, 4).double()
    with torch.no_grad():
        target.weight.copy_(case.input("ema_w"))
        target.bias.copy_(case.input("ema_b"))
        for step, momentum in enumerate(case.params["m"]):
            online.weight.copy_(case.input("online_w")[step])
            online.bias.copy_(case.input("online_b")[step])
            ema_update(target, online, momentum)
    for name in ("w", "b"):
        ours = target.weight if name == "w" else target.bias
        wanted = case.array(f"f64/ema_{name}_after")
        np.testing.assert_allclose(ours.detach().numpy(), wanted, rtol=1e-12)


def pair() -> tuple[nn.Module, nn.Module]:
    online = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    target = copy.deepcopy(online).requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in online.parameters():
        nn.init.normal_(parameter, generator=generator)
    online(torch.randn(8, 3, generator=generator))  # moves the running statistics of online alone
    return target, online


def test_running_statistics_are_the_targets_own() -> None:
    target, online = pair()
    before = target[1].running_mean.clone()
    assert not torch.equal(before, online[1].running_mean)
    ema_update(target, online, 0.75)
    assert torch.equal(target[1].running_mean, before)
    assert target[1].num_batches_tracked == 0


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.5, 0.75, 0.996, 1.0])
def test_the_update_of_one_parameter_after_the_other_is_bit_for_bit_the_same(
    momentum: float,
) -> None:
    target, online = pair()
    wanted = [
        old.lerp(new, 1 - momentum)
        for old, new in zip(target.parameters(), online.parameters(), strict=True)
    ]
    ema_update(target, online, momentum)
    assert all(map(torch.equal, target.parameters(), wanted))


def test_ends_are_exact_and_no_gradient_flows() -> None:
    target, online = pair()
    before = copy.deepcopy(target.state_dict())
    ema_update(target, online, 1.0)
    assert all(torch.equal(before[name], value) for name, value in target.state_dict().items())
    ema_update(target, online, 0.0)
    for ours, theirs in zip(target.parameters(), online.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert not ours.requires_grad


def test_refuses_another_network_and_a_momentum_outside_the_range() -> None:
    target, online = pair()
    with pytest.raises(ValueError, match=r"online one's make: \['0.weight'\]"):
        ema_update(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)), online, 0.9)
    with pytest.raises(ValueError, match="momentum must be in"):
        ema_update(target, online, 1.5)
