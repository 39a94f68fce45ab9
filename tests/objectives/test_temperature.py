"""A temperature that is learned: its gradient, against finite differences, and how it travels."""

from __future__ import annotations

import pytest
import torch
from situations import SITUATIONS, Situation, random_data
from torch import nn

from viewfinder.negatives import Bank
from viewfinder.objectives import (
    DINO,
    NCE,
    CIInfoNCE,
    InfoNCE,
    NTXent,
    SupCon,
    SwAV,
    VICReg,
    log_partition,
)

WITH_TEMPERATURE = [s for s in SITUATIONS if s.has_temperature]


def test_every_objective_that_divides_by_a_temperature_is_here() -> None:
    names = {s.objective.name for s in WITH_TEMPERATURE}
    options = {s.objective.name: s.objective.options.model_fields for s in SITUATIONS}
    assert names == {name for name, own in options.items() if any("temperature" in o for o in own)}
    assert len(names) >= 8


@pytest.mark.parametrize("situation", WITH_TEMPERATURE, ids=str)
@pytest.mark.parametrize("value", [0.01, 0.3])
def test_gradient_by_finite_differences(
    situation: Situation, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below 1/300 and above it two forms of the kernel are used; with one block and with many."""
    data = random_data(situation, 5)
    temperature = torch.tensor(value, dtype=torch.float64, requires_grad=True)

    def loss(t: torch.Tensor) -> torch.Tensor:
        return situation.loss(data.online, data.target, data.table, temperature=t)

    fixed = situation.loss(
        data.online, data.target, data.table, **{situation.objective.temperature: value}
    )
    torch.testing.assert_close(loss(temperature), fixed, rtol=1e-12, atol=1e-14)
    torch.autograd.gradcheck(loss, temperature, eps=1e-6 * value, rtol=1e-5)
    (whole,) = torch.autograd.grad(loss(temperature), temperature)
    monkeypatch.setitem(log_partition.BLOCK, "cpu", 3)
    (blocks,) = torch.autograd.grad(loss(temperature), temperature)
    torch.testing.assert_close(blocks, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("value", [0.002, 0.5])
def test_nt_xent_on_both_sides_of_the_temperature_where_its_kernel_changes(value: float) -> None:
    z = [torch.randn(4, 3, generator=torch.Generator().manual_seed(s)).double() for s in (0, 1)]
    temperature = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    loss = NTXent(temperature)
    torch.autograd.gradcheck(lambda t: loss(*z), temperature, eps=1e-6 * value, rtol=1e-5)


@pytest.mark.parametrize("loss", [NTXent, InfoNCE, SupCon, CIInfoNCE, SwAV, DINO, NCE])
def test_a_parameter_stays_a_parameter_and_learns(loss: type[nn.Module]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        temperature = nn.Parameter(torch.tensor(0.5))
        z0, z1 = torch.randn(6, 4), torch.randn(6, 4)
        module = {
            SwAV: lambda: SwAV(4, 3, temperature),
            DINO: lambda: DINO(4, temperature),
        }.get(loss, lambda: loss(temperature))()
        bank = Bank(9, 4)
    assert any(p is temperature for p in module.parameters())
    call = {
        NTXent: lambda: module(z0, z1),
        CIInfoNCE: lambda: module(z0, z1),
        InfoNCE: lambda: module(z0, z1),
        NCE: lambda: module(z0, None, bank.propose(z0, torch.arange(6))),
    }.get(loss, lambda: module([z0, z1], *([[z0, z1]] if loss is DINO else [])))
    before = call()
    before.backward()
    assert temperature.grad is not None
    assert temperature.grad.abs() > 0
    if loss in (NTXent, InfoNCE, SupCon, CIInfoNCE):
        assert "temperature=0.5" in repr(module)
        assert "temperature" in module.state_dict()


def test_what_cannot_be_a_temperature_is_refused() -> None:
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"must be positive, not -0\.5"):
        NTXent(nn.Parameter(torch.tensor(-0.5)))(z, z)
    with pytest.raises(ValueError, match="must be one number"):
        NTXent(nn.Parameter(torch.ones(4)))(z, z)
    with pytest.raises(ValueError, match="vicreg has no temperature"):
        VICReg().objective([z, z], temperature=torch.tensor(0.5))
