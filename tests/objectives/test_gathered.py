"""Rows of its own for each query: equal to the dense form, without copying them all."""

from __future__ import annotations

import pytest
import torch
from test_log_partition import Largest
from torch import Tensor

from viewfinder.negatives import Contrast
from viewfinder.objectives import gathered, info_nce_with_negatives, log_partition, nce

PARTS = ["query", "key", "table", "temperature"]


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def leaves() -> dict[str, Tensor]:
    given = {"query": draw(0, 5, 3), "key": draw(1, 5, 3), "table": draw(2, 9, 3)}
    given["temperature"] = torch.tensor(0.3, dtype=torch.float64)
    return {name: x.requires_grad_() for name, x in given.items()}


def rows() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(-1, 9, (5, 6), generator=generator)


def dense_info_nce(x: dict[str, Tensor]) -> Tensor:
    """By hand, from copies of all rows."""
    normal = torch.nn.functional.normalize
    q, k, t = normal(x["query"]), normal(x["key"]), normal(x["table"])
    s = torch.einsum("nd,nkd->nk", q, t[rows().clamp(min=0)]) / x["temperature"]
    s = s.masked_fill(rows() < 0, float("-inf"))
    own = (q * k).sum(1) / x["temperature"]
    return (torch.cat([own[:, None], s], dim=1).logsumexp(1) - own).mean()


def dense_nce(x: dict[str, Tensor]) -> Tensor:
    """Equation 7 of Wu et al. 2018 as it is written, with no epsilon."""
    normal = torch.nn.functional.normalize
    q, k, t = normal(x["query"]), normal(x["key"]), normal(x["table"])
    there = rows() >= 0
    level = there.sum(dim=1, keepdim=True).double() / 9
    s = torch.einsum("nd,nkd->nk", q, t[rows().clamp(min=0)]) / x["temperature"]
    noise, own = s.exp() / 7, ((q * k).sum(1, keepdim=True) / x["temperature"]).exp() / 7
    total = (level / (noise + level)).log().masked_fill(~there, 0).sum(dim=1)
    return -((own / (own + level)).log().squeeze(1) + total).mean()


def ours(loss: str, x: dict[str, Tensor]) -> Tensor:
    given = x["query"], x["key"], Contrast(x["table"], rows()), x["temperature"]
    if loss == "info_nce":
        return info_nce_with_negatives(*given)
    return nce(*given, log_z=torch.tensor(7.0).double().log(), epsilon=0)


@pytest.mark.parametrize("loss", ["info_nce", "nce"])
@pytest.mark.parametrize("form", [0, 100], ids=["copies of rows", "whole table"])
@pytest.mark.parametrize("block", [2, 20, 10**6])
@pytest.mark.parametrize("wants", [PARTS, PARTS[:1], PARTS[2:3], PARTS[3:]], ids=str)
def test_equals_the_dense_form_with_gradients(
    loss: str, form: int, block: int, wants: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered, "DENSE", form)
    monkeypatch.setitem(log_partition.BLOCK, "cpu", block)
    x = leaves()
    dense = dense_info_nce(x) if loss == "info_nce" else dense_nce(x)
    wanted = torch.autograd.grad(dense, [x[name] for name in wants])
    some = {name: v if name in wants else v.detach() for name, v in x.items()}
    value = ours(loss, some)
    torch.testing.assert_close(value, dense, rtol=1e-12, atol=1e-13)
    gradients = torch.autograd.grad(value, [x[name] for name in wants])
    torch.testing.assert_close(gradients, wanted, rtol=1e-9, atol=1e-11)


def test_a_table_may_change_before_the_backward_pass() -> None:
    """A bank learns this step's keys after the loss and before the gradients."""
    x = leaves()
    wanted = torch.autograd.grad(ours("info_nce", x), x["query"])
    table = x["table"].detach().clone()
    value = ours("info_nce", {**x, "table": table})
    table.zero_()
    torch.testing.assert_close(torch.autograd.grad(value, x["query"]), wanted)


@pytest.mark.parametrize("loss", ["info_nce", "nce"])
def test_rows_are_never_all_copied(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(log_partition.BLOCK, "cpu", 50_000)
    generator = torch.Generator().manual_seed(0)
    for size in (5_000, 40_000):  # by the product with the whole table, and by copies of rows
        table = torch.randn(size, 16, generator=generator)
        query = torch.randn(64, 16, generator=generator).requires_grad_()
        rows = torch.randint(0, size, (64, 512), generator=generator)
        contrast = Contrast(table, rows)
        with Largest() as largest:
            if loss == "info_nce":
                info_nce_with_negatives(query, query.detach(), contrast, 0.1).backward()
            else:
                nce(query, query.detach(), contrast, 0.1, log_z=1.0).backward()
        # copies would have 64 x 512 x 16 = 524,288; what is made of the table is no larger than it
        assert largest.elements <= max(50_000, 64 * 512, 80_000 if size == 5_000 else 0)


def test_a_second_derivative_is_refused_and_not_wrong() -> None:
    x = leaves()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(ours("info_nce", x), x["query"], create_graph=True)
