"""Instance discrimination and CMC against released code: softmax and NCE over memory banks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from golden.cases import Case, assert_golden, golden_cases
from torch import Tensor

from viewfinder.negatives import Bank, Contrast
from viewfinder.objectives import NCE, gathered, info_nce_with_negatives

# the constant of Local Aggregation's code: Z / M
CONSTANT = 2876934.2 / 1281167


@pytest.fixture(params=["copies of rows", "whole table"], autouse=True)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "DENSE", 0 if request.param == "copies of rows" else 32)


def bank_of(memory: Tensor, momentum: float) -> Bank:
    bank = Bank(*memory.shape, alpha=momentum, own="kept").to(memory.dtype)
    bank.table.copy_(memory)
    return bank


def nce_of(case: Case, rows: int, dtype: torch.dtype) -> NCE:
    variant = case.params["variant"]
    z = {"nce_constZ": CONSTANT}.get(variant, (case.params.get("Z") or 0) / rows or None)
    return NCE(case.params["temperature"], mean_exp=z).to(dtype)


def part_of(x: Tensor) -> str:
    return "f64" if x.dtype == torch.float64 else "f32"


def close(case: Case, name: str, value: Tensor) -> None:
    """An output other than the loss, in the precision of the value."""
    exact = value.dtype == torch.float64
    wanted = case.array(f"{part_of(value)}/{name}")
    rtol = 1e-9 if exact else 2e-5
    np.testing.assert_allclose(value.numpy(), wanted, rtol=rtol, atol=1e-12 if exact else 1e-6)


@pytest.mark.parametrize("case", golden_cases("instance_discrimination"))
def test_golden_instance_discrimination(case: Case) -> None:
    def loss(x: Mapping[str, Tensor]) -> Tensor:
        query, y = x.get("x", x.get("x_unit")), x["y"]
        assert query is not None
        bank = bank_of(x["bank"], case.params["momentum"])
        contrast = Contrast(bank.table, x.get("noise_idx"), positive=bank.table[y])
        if case.params["variant"] == "full_softmax":  # every row once, its own as the positive
            contrast = Bank.propose(bank_of_excluded(bank), query, y)
            value = info_nce_with_negatives(query, None, contrast, case.params["temperature"])
        elif case.params["variant"] == "softmax_K":
            value = info_nce_with_negatives(query, None, contrast, case.params["temperature"])
        else:
            module = nce_of(case, len(bank.table), query.dtype)
            value = module(query, None, contrast)
            if "Z" in case.about["outputs"]:
                close(case, "Z", module.log_mean.exp() * len(bank.table))
        bank.update(query.detach(), y)
        if "bank_after" in case.about["outputs"]:
            close(case, "bank_after", bank.table)
        return value

    assert_golden(case, loss, tangent="x_unit" in case.about["inputs"])


def bank_of_excluded(bank: Bank) -> Bank:
    bank.own = "excluded"
    return bank


@pytest.mark.parametrize("case", golden_cases("cmc_nce"))
def test_golden_cmc(case: Case) -> None:
    """Each view against the other's bank, and a normaliser for each direction."""

    def loss(x: Mapping[str, Tensor]) -> Tensor:
        y, total = x["y"], torch.zeros(())
        banks = {v: bank_of(x[f"memory_{v}"], case.params["momentum"]) for v in ("l", "ab")}
        for view, other in (("l", "ab"), ("ab", "l")):
            table = banks[other].table
            contrast = Contrast(table, x["noise_idx"], positive=table[y])
            if case.params["variant"] == "softmax":
                value = info_nce_with_negatives(x[view], None, contrast, case.params["temperature"])
            else:
                module = nce_of(case, len(table), table.dtype)
                value = module(x[view], None, contrast)
                if case.params["variant"] == "nce":  # else it was given
                    close(case, f"Z_{view}", module.log_mean.exp() * len(table))
            close(case, f"loss_{view}", value.detach())
            total = total + value
        for view, bank in banks.items():
            bank.update(x[view].detach(), y)
            close(case, f"memory_{view}_after", bank.table)
        return total

    assert_golden(case, loss, tangent=True)


@pytest.mark.parametrize("case", golden_cases("memory_bank_update"))
def test_golden_memory_bank_update(case: Case) -> None:
    for dtype in (torch.float64, torch.float32):
        bank = bank_of(case.input("bank", dtype), case.params["momentum"])
        bank.update(case.input("x", dtype), case.input("y"))
        close(case, "bank_after", bank.table)
    paper = bank_of(case.input("bank"), case.params["momentum"])
    paper.renormalise = False
    paper.update(case.input("x"), case.input("y"))
    wanted = case.array("alt/not_normalised/bank_after")
    np.testing.assert_allclose(paper.table.numpy(), wanted, rtol=1e-9)
