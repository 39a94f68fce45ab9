"""Local aggregation, ball and annulus discrimination: values of others, and what VINCE proves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from golden.cases import Case, assert_golden, golden_cases
from torch import Tensor

from viewfinder.data.domain import Domain, Spec
from viewfinder.negatives import NEGATIVES, Bank, Contrast
from viewfinder.objectives import gathered, info_nce_with_negatives, local_aggregation


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture(params=["copies of rows", "whole table"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "DENSE", 0 if request.param == "copies of rows" else 32)


def bank_of(table: Tensor, name: str, labels: Tensor | None = None, **options: Any) -> Bank:
    """A memory of unit rows, with clusterings (N, G)."""
    row = NEGATIVES[name]
    sizes = () if labels is None else (1,) * labels.shape[1]
    spec = Spec(Domain("images", (3, 8, 8)), n=len(table), dim=table.shape[1], sizes=sizes)
    bank: Any = row.build(row.options(**options), spec).to(table.dtype)
    bank.table.copy_(table)
    if labels is not None:
        bank.relabel(labels)
    return bank


@pytest.mark.parametrize("case", golden_cases("local_aggregation"))
@pytest.mark.parametrize("alternative", ["formula_eps", "formula_no_eps"])
def test_golden_local_aggregation(case: Case, alternative: str, form: None) -> None:
    """Neighbours of the current output, the own row among them or not, as released code has it;
    that averages over all pairs of a batch too, which is no loss of anything."""
    epsilon = 1e-7 if alternative == "formula_eps" else 0.0

    def loss(x: Mapping[str, Tensor]) -> Tensor:
        labels, y = x["cluster_labels"].T.contiguous(), x["y"]
        bank = bank_of(x["bank"], "ball", labels, size=case.params["k"], by="current", own="kept")
        contrast = bank.propose(x["x"], y)
        return local_aggregation(
            x["x"], None, contrast, case.params["temperature"],
            cluster=labels[y], epsilon=epsilon, found=True,
        )  # fmt: skip

    assert_golden(case, loss, alternative=alternative)


@pytest.mark.parametrize("case", golden_cases("vince_family"))
def test_golden_methods_of_vince(case: Case, form: None) -> None:
    """IR, BALL, ANN and LA by the paper's formulas: neighbours of the row in the memory; the own
    row is in B_i, and in C_i, so that ANN's partition is without the positive."""

    def loss(x: Mapping[str, Tensor]) -> Tensor:
        labels, y, k = x["cluster_labels"].T.contiguous(), x["y"], case.params["k"]
        variant, temperature = case.params["variant"], case.params["temperature"]
        name, options = {"ir": ("bank", {}), "ann": ("annulus", {"size": k - 1})}.get(
            variant, ("ball", {"size": k - 1})
        )
        contrast = bank_of(x["bank"], name, labels, **options).propose(x["x_unit"], y)
        if variant in ("ir", "ball"):
            return info_nce_with_negatives(x["x_unit"], None, contrast, temperature)
        if variant == "ann":
            return local_aggregation(
                x["x_unit"], None, contrast, temperature, cluster=labels[y], partition="others"
            )
        return local_aggregation(x["x_unit"], None, contrast, temperature, cluster=labels[y])

    assert_golden(case, loss, tangent=True)


@pytest.mark.parametrize("partition", ["background", "others"])
def test_it_is_the_printed_ratio_of_sums(partition: Any) -> None:
    """Both forms and both partitions, from the matrix of all similarities."""
    query, table, index = draw(0, 4, 5), draw(1, 20, 5), torch.tensor([3, 0, 19, 7])
    labels = torch.stack([torch.arange(20) % 4, torch.arange(20) // 7], dim=1)
    bank = bank_of(table, "ball", labels, size=11)
    contrast = bank.propose(query, index)
    assert contrast.rows is not None
    unit = torch.nn.functional.normalize
    p = (unit(query) @ unit(table).T / 0.3).exp()
    own = torch.nn.functional.one_hot(index, 20).bool()
    background = torch.zeros(4, 20, dtype=torch.bool).scatter_(1, contrast.rows, True) | own
    close = (labels[index][:, None] == labels).any(dim=2) & background
    below = background if partition == "background" else background & ~close
    ratio = (p * close).sum(dim=1) / (p * below).sum(dim=1)
    given: dict[str, Any] = {"cluster": labels[index], "partition": partition}
    value = local_aggregation(query, None, contrast, 0.3, **given)
    torch.testing.assert_close(value, -ratio.log().mean())
    mean = local_aggregation(query, None, contrast, 0.3, form="mean", **given)
    torch.testing.assert_close(mean, -(ratio / close.sum(dim=1)).log().mean())


def test_with_no_close_neighbour_it_is_ball_discrimination() -> None:
    """LA-SIMPLE, C_i = {i} (theorem 5.4): value and gradient, whoever says so."""
    table, index = draw(1, 20, 5), torch.tensor([3, 0, 19, 7])
    own = torch.arange(20)[:, None]
    bank = bank_of(table, "ball", own, size=11)
    values, gradients = [], []
    for cluster in ("info-nce", None, own[index]):
        query = draw(0, 4, 5).requires_grad_()
        contrast = bank.propose(query, index)
        if isinstance(cluster, str):
            value = info_nce_with_negatives(query, None, contrast, 0.3)
        else:
            value = local_aggregation(query, None, contrast, 0.3, cluster=cluster)
        values.append(value.detach())
        gradients.append(torch.autograd.grad(value, query)[0])
    for value, gradient in zip(values[1:], gradients[1:], strict=True):
        torch.testing.assert_close(value, values[0])
        torch.testing.assert_close(gradient, gradients[0])


def test_without_the_mean_corollary_5_4_1_does_not_hold() -> None:
    """It says that LA is a looser bound than LA-SIMPLE: its loss is at least as large. The sum as
    printed has the lesser loss wherever a close row was found; the mean has not, if the own row is
    the likeliest of them, as the proof takes it to be."""
    literal, mean = 0, 0
    for seed in range(200):
        query, table, index = draw(seed, 1, 6), draw(seed + 1000, 30, 6), torch.tensor([4])
        table[4] = query[0]
        labels = (torch.arange(30) % 3)[:, None]
        contrast = bank_of(table, "ball", labels, size=20).propose(query, index)
        simple = local_aggregation(query, None, contrast, 0.5)
        given = {"cluster": labels[index]}
        literal += int(local_aggregation(query, None, contrast, 0.5, **given) < simple)
        mean += int(local_aggregation(query, None, contrast, 0.5, form="mean", **given) < simple)
    assert literal == 200
    assert mean == 0


def test_an_annulus_makes_it_annulus_discrimination() -> None:
    """The rows left are contrasted with and none of them is close, in both readings."""
    table, index, query = draw(1, 20, 5), torch.tensor([3, 0, 19, 7]), draw(0, 4, 5)
    labels = torch.stack([torch.arange(20) % 4, torch.arange(20) // 7], dim=1)
    contrast = bank_of(table, "annulus", labels, size=11).propose(query, index)
    safe = local_aggregation(query, None, contrast, 0.3, cluster=labels[index])
    torch.testing.assert_close(safe, info_nce_with_negatives(query, None, contrast, 0.3))
    literal = local_aggregation(
        query, None, contrast, 0.3, cluster=labels[index], partition="others"
    )
    # log(a + b) - log(a) against log(b) - log(a): the positive is in the partition, or is not
    assert literal < safe
    perfect = local_aggregation(
        table[index], None, contrast, 0.01, cluster=labels[index], partition="others"
    )
    assert perfect < 0 < safe  # the one has a least value of 0, the other none that is known


def test_what_has_nothing_to_be_told_from_costs_nothing() -> None:
    query = draw(0, 2, 3).requires_grad_()
    none = Contrast(draw(1, 4, 3), torch.full((2, 2), -1))
    for partition in ("background", "others"):
        value = local_aggregation(query, draw(2, 2, 3), none, 0.1, partition=partition)
        (gradient,) = torch.autograd.grad(value, query)
        assert value.item() == 0
        assert (gradient == 0).all()


def test_a_query_without_any_close_row_is_an_error() -> None:
    contrast = Contrast(draw(1, 4, 3), cluster=torch.tensor([0, 1, 1, 1]))
    query, z = draw(0, 2, 3), torch.tensor([0, 2])
    with pytest.raises(ValueError, match="no positive at all"):
        local_aggregation(query, query, contrast, cluster=z, found=True)
    value = local_aggregation(query, query, contrast, cluster=z, found=True, epsilon=1e-7)
    assert torch.isfinite(value)
    for word in ("form", "partition"):
        with pytest.raises(ValueError, match=f"{word} is 'summ'"):
            local_aggregation(query, query, contrast, **{word: "summ"})
    with pytest.raises(ValueError, match="as many clusterings of both"):
        local_aggregation(query, query, contrast, cluster=torch.zeros(2, 2, dtype=torch.int64))
