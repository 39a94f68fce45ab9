"""CARL: values of the formula, and what its two terms mean."""

from __future__ import annotations

import math

import pytest
import torch
from golden.cases import Case, assert_golden, golden_cases
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.objectives.carl import CARL, carl, kl_to_uniform
from viewfinder.recipes.recipe import build


@pytest.mark.parametrize("case", golden_cases("carl"))
def test_golden_carl(case: Case) -> None:
    def terms(x: dict[str, Tensor], constant: str = "natural") -> dict[str, Tensor]:
        return carl(
            x["logits_a"],
            x["logits_p"],
            case.params["lambda"],
            mean_over=case.params["variant"],
            constant=constant,
        )

    assert_golden(case, lambda x: terms(x)["loss"])
    exact = terms({name: case.input(name) for name in ("logits_a", "logits_p")})
    for name in ("consistency", "kl"):
        assert exact[name].item() == pytest.approx(float(case.array(f"f64/{name}")), rel=1e-9)
    if case.alternatives:
        assert_golden(case, lambda x: terms(x, "log2")["loss"], alternative="paper_log2_as_printed")


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
@pytest.mark.parametrize("confidence", [20.0, 1e4])
def test_divergence_is_zero_at_uniform_and_log_k_at_collapse(
    classes: int, confidence: float
) -> None:
    undecided = torch.zeros(5, classes, dtype=torch.float64)
    assert kl_to_uniform(undecided).item() == pytest.approx(0, abs=1e-14)
    spread = confidence * torch.eye(classes, dtype=torch.float64)  # sure, and all used alike
    assert kl_to_uniform(spread).item() == pytest.approx(0, abs=1e-14)
    collapsed = undecided.clone()
    collapsed[:, 1] = 1e4
    assert kl_to_uniform(collapsed).item() == pytest.approx(math.log(classes), rel=1e-14)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(2, 6), st.floats(0, 50), st.integers(0, 10**6))
def test_divergence_is_between_its_ends(
    samples: int, classes: int, scale: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(samples, classes, generator=generator, dtype=torch.float64)
    assert -1e-14 <= kl_to_uniform(logits).item() <= math.log(classes) + 1e-14


def test_terms_that_a_product_of_probabilities_would_lose() -> None:
    """Views sure of different prototypes: the product of their probabilities is 0 in float32."""
    anchor = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]], requires_grad=True)
    positive = torch.tensor([[0.0, 200.0, 0.0], [0.0, 0.0, 200.0]])
    terms = carl(anchor, positive)
    assert terms["consistency"].item() == pytest.approx(200 - math.log(2))
    terms["loss"].backward()
    assert torch.isfinite(anchor.grad).all()
    assert anchor.grad.abs().max() > 0.1


def test_the_mean_assignment_may_leave_the_positive_out() -> None:
    anchor, positive = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    first = carl(anchor, positive)
    assert first["kl"] == kl_to_uniform(anchor)
    both = carl(anchor, positive, mean_over="both")
    assert both["kl"] == kl_to_uniform(torch.cat([anchor, positive]))


@pytest.mark.parametrize(
    ("shape", "weight", "message"),
    [((1, 4), 1.0, "two samples"), ((4, 1), 1.0, "K >= 2"), ((4, 3), -1.0, "not be negative")],
)
def test_wrong_input_is_named(shape: tuple[int, int], weight: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        carl(torch.zeros(shape), torch.zeros(shape), weight)


def test_module_trains_the_anchor_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    z0, z1 = torch.randn(2, 6, 4, generator=generator).unbind()
    z0.requires_grad_()
    z1.requires_grad_()
    loss = CARL(4, 5)
    terms = loss(z0, z1, weight=2.0)
    torch.testing.assert_close(terms["loss"], terms["consistency"] + 2 * terms["kl"])
    gradients = torch.autograd.grad(terms["loss"], [z0, z1], allow_unused=True)
    assert gradients[0].abs().max() > 0
    assert gradients[1] is None or not gradients[1].any()


def test_the_module_takes_the_weight_with_every_call_alone() -> None:
    with pytest.raises(TypeError, match="weight"):
        CARL(4, 6, weight=2.0)  # type: ignore[call-arg]
    terms = CARL(4, 6)(torch.randn(3, 4), torch.randn(3, 4), 2.0)
    assert terms["loss"] == terms["consistency"] + 2 * terms["kl"]


@pytest.mark.parametrize(
    ("start", "end", "key"), [(4.0, 0.0, "final_weight"), (0.0, 1.0, "weight")]
)
def test_an_exponential_decay_from_or_to_0_is_refused(start: float, end: float, key: str) -> None:
    own = {"weight": start, "final_weight": end}
    with pytest.raises(UserError, match=f"objective.{key} is 0.*objective.decay=linear"):
        build("carl", {"objective": {**own, "decay": "exponential"}})
    build("carl", {"objective": {**own, "decay": "linear"}})
