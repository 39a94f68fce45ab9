"""Values and gradients of other implementations, float64 and float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.cases import Case, assert_golden, golden_cases

from viewfinder.negatives import Contrast, Queue
from viewfinder.objectives import (
    Cosine,
    InfoNCE,
    NTXent,
    byol_regression,
    info_nce,
    info_nce_with_negatives,
    log_partition,
    negative_cosine,
    nt_xent,
    supcon,
)
from viewfinder.objectives.similarity import unit


@pytest.fixture(params=["one block", "many blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many blocks":
        monkeypatch.setitem(log_partition.BLOCK, "cpu", 20)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("case", golden_cases("nt_xent"))
def test_golden_nt_xent(case: Case) -> None:
    temperature = case.params["temperature"]
    assert_golden(case, lambda x: nt_xent(x["z0"], x["z1"], temperature))
    assert_golden(case, lambda x: NTXent(temperature)(x["z0"], x["z1"]))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("case", golden_cases("nt_xent"))
def test_golden_nt_xent_by_parts_and_as_supcon(case: Case) -> None:
    """Some samples as anchors, then the others; and the same loss by its more general name."""
    temperature, n = case.params["temperature"], case.about["inputs"]["z0"]["shape"][0]

    def parts(x):
        first = nt_xent(x["z0"], x["z1"], temperature, rows=slice(0, 1))
        rest = nt_xent(x["z0"], x["z1"], temperature, rows=slice(1, n))
        return (first + (n - 1) * rest) / n

    assert_golden(case, parts)
    assert_golden(case, lambda x: supcon([x["z0"], x["z1"]], None, temperature))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "case", golden_cases("info_nce", lambda c: c.params["variant"] == "in_batch")
)
def test_golden_info_nce_in_batch(case: Case) -> None:
    temperature = case.params["temperature"]
    assert_golden(case, lambda x: info_nce(x["q"], x["k"], temperature))
    if case.alternatives == ["moco_v3"]:  # its factor, and no gradient into the keys
        assert_golden(
            case,
            lambda x: 2 * temperature * info_nce(x["q"], x["k"].detach(), temperature),
            alternative="moco_v3",
        )


@pytest.mark.parametrize(
    "case", golden_cases("info_nce", lambda c: c.params["variant"] == "symmetric")
)
def test_golden_info_nce_symmetric(case: Case) -> None:
    loss = InfoNCE(case.params["temperature"])
    assert_golden(case, lambda x: (loss(x["q"], x["k"]) + loss(x["k"], x["q"])) / 2)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "case", golden_cases("info_nce", lambda c: c.params["variant"] in ("paired", "unpaired"))
)
def test_golden_info_nce_given_negatives(case: Case) -> None:
    temperature = case.params["temperature"]
    assert_golden(
        case,
        lambda x: info_nce_with_negatives(x["q"], x["k"], Contrast.of(x["negatives"]), temperature),
    )
    assert_golden(case, lambda x: InfoNCE(temperature)(x["q"], x["k"], x["negatives"]))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("case", golden_cases("moco_queue"))
def test_golden_moco_queue(case: Case) -> None:
    def loss(x):
        queue = Queue(case.params["K"], x["q"].shape[1]).to(x["q"].dtype)
        start, n = x["queue"], len(x["q"])
        queue.update(start, torch.arange(100, 100 + len(start)))  # wraps to pointer 0
        index = torch.arange(n)
        value = info_nce_with_negatives(
            x["q"], x["k"], queue.propose(x["q"], index), case.params["temperature"]
        )
        queue.update(unit(x["k"]), index)
        part = "f64" if x["q"].dtype == torch.float64 else "f32"
        np.testing.assert_allclose(
            queue.table.numpy(), case.array(f"{part}/queue_after"), rtol=1e-6
        )
        return value

    assert_golden(case, loss)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("case", golden_cases("supcon"))
def test_golden_supcon(case: Case) -> None:
    options = {
        "temperature": case.params["temperature"],
        "base_temperature": case.params.get("base_temperature"),
        "anchors": "first" if case.params.get("contrast_mode") == "one" else "all",
    }
    alone = case.id.startswith("single_member_one_view")

    def loss(x, **more):
        return supcon(
            x["features"].unbind(1), x.get("labels"), mask=x.get("mask"), **options, **more
        )

    assert_golden(case, lambda x: loss(x, missing="zero" if alone else "error"))
    if alone:
        assert_golden(case, lambda x: loss(x, missing="skip"), alternative="pml_excludes")
        assert_golden(case, lambda x: loss(x, missing="skip"), alternative="formula_excluded")
        with pytest.raises(ValueError, match="have no positive"):
            loss({"features": case.input("features"), "labels": case.input("labels")})


@pytest.mark.parametrize("case", golden_cases("byol_simsiam"))
def test_golden_byol_simsiam(case: Case) -> None:
    variant = case.params["variant"]
    if variant == "neg_cos":
        assert_golden(case, lambda x: negative_cosine(x["x0"], x["x1"]))
    elif variant == "simsiam":
        loss = Cosine(form="negative_cosine")
        assert_golden(case, lambda x: (loss(x["p0"], x["z1"]) + loss(x["p1"], x["z0"])) / 2)
    else:
        loss = Cosine()
        assert_golden(case, lambda x: loss(x["p0"], x["t1"]) + loss(x["p1"], x["t0"]))
        assert_golden(
            case,
            lambda x: byol_regression(x["p0"], x["t1"]) + byol_regression(x["p1"], x["t0"]),
        )
