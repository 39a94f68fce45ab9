"""PCL: values of the authors' code, and where ours differs on purpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden.cases import Case, assert_golden, golden_cases
from torch import Tensor

from viewfinder.negatives import Contrast
from viewfinder.objectives import Prototypes, concentration, pcl, proto_nce
from viewfinder.objectives.similarity import unit


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("case", golden_cases("pcl_protonce"))
def test_golden_pcl(case: Case) -> None:
    def terms(x: dict[str, Tensor]) -> dict[str, Tensor]:
        clusterings = [sampled(x, g) for g in range(case.params["G"])]
        queue = Contrast(x["queue"])
        return pcl(x["q"], x["k"], queue, clusterings, case.params["temperature"])

    def sampled(x: dict[str, Tensor], g: int) -> Prototypes:
        """As the authors' code has it: a column for every sample of the batch, so that two of one
        cluster count its prototype as a negative, and the columns of the sampled ones."""
        columns = torch.cat([x[f"im2cluster_{g}"][x["index"]], x[f"neg_{g}"]])
        own = torch.arange(len(x["index"]))
        return Prototypes(own, x[f"centroids_{g}"][columns], x[f"density_{g}"][columns])

    assert_golden(case, lambda x: terms(x)["loss"])
    ours = terms({name: case.input(name) for name in case.about["inputs"]})
    expected = [float(case.array(f"f64/loss_proto_{g}")) for g in range(case.params["G"])]
    assert ours["prototypes"].item() == pytest.approx(sum(expected) / len(expected), rel=1e-9)
    assert ours["instance"].item() == pytest.approx(
        float(case.array("f64/loss_instance")), rel=1e-9
    )


@pytest.mark.parametrize("case", golden_cases("pcl_concentration"))
def test_golden_concentration(case: Case) -> None:
    density = concentration(
        case.input("sq_dist"),
        case.input("im2cluster"),
        case.params["C"],
        case.params["temperature"],
    )
    assert density.dtype == torch.float64
    np.testing.assert_allclose(density.numpy(), case.array("f64/density"), rtol=2e-6)


def given() -> Prototypes:
    density = torch.linspace(0.1, 0.4, 6, dtype=torch.float64)
    return Prototypes(torch.tensor([2, 0, 2, 5]), draw(1, 6, 3), density)


def test_prototypes_are_classes() -> None:
    """It is cross entropy over all prototypes."""
    q, everything = draw(0, 4, 3), given()
    logits = unit(q) @ unit(everything.centroids).T / everything.density
    wanted = F.cross_entropy(logits, everything.cluster)
    torch.testing.assert_close(proto_nce(q, everything), wanted)


def test_widths_of_degenerate_clusters() -> None:
    """One member alone takes the largest width; equal members do not divide by zero."""
    distance = torch.tensor([0.0, 4.0, 4.0, 0.0, 0.0, 9.0, 9.0], dtype=torch.float64)
    cluster = torch.tensor([0, 1, 1, 2, 2, 3, 3])
    density = concentration(distance, cluster, 5, 0.2)  # cluster 4 is empty
    assert (density > 0).all()
    assert density[0] == density[3] == density[4] == density.max()
    nothing = concentration(torch.zeros(4), torch.tensor([0, 0, 1, 1]), 2, 0.3)
    torch.testing.assert_close(nothing, torch.full((2,), 0.3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_precision_gradients_and_narrow_prototypes(dtype: torch.dtype) -> None:
    q, k = draw(0, 2, 3).to(dtype).requires_grad_(), draw(1, 2, 3).to(dtype)
    narrow = Prototypes(
        torch.tensor([1, 0]), draw(2, 3, 3).to(dtype), torch.full((3,), 0.01, dtype=dtype)
    )
    terms = pcl(q, k, Contrast(draw(3, 4, 3).to(dtype)), [narrow], 0.01)
    (gradient,) = torch.autograd.grad(terms["loss"], q)
    assert terms["loss"].dtype == dtype
    assert torch.isfinite(gradient).all()
    sure = proto_nce(narrow.centroids[narrow.cluster], narrow)
    assert sure.item() == pytest.approx(0, abs=1e-6)  # its infimum
    if dtype == torch.float64:
        torch.autograd.gradcheck(lambda x: proto_nce(x, given()), draw(0, 4, 3).requires_grad_())


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"cluster \(N,\)"):
        proto_nce(draw(0, 3, 3), given())
    flat = Prototypes(torch.zeros(4, dtype=torch.int64), draw(1, 6, 3), torch.zeros(6))
    with pytest.raises(ValueError, match="one positive number"):
        proto_nce(draw(0, 4, 3), flat)
    with pytest.raises(ValueError, match=r"must both be \(M,\)"):
        concentration(torch.zeros(3), torch.zeros(2, dtype=torch.int64), 2)
