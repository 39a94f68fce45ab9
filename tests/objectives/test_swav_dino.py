"""Sinkhorn, SwAV and DINO: other implementations' values, and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden.cases import Case, assert_golden, golden_cases
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from viewfinder.objectives import DINO, SwAV, dino, moved_center, sinkhorn, swav
from viewfinder.objectives.swav import swapped_prediction


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("case", golden_cases("sinkhorn"))
def test_golden_sinkhorn(case: Case) -> None:
    p = case.params
    for part, dtype, bound in (("f64", torch.float64, 1e-12), ("f32", torch.float32, 2e-6)):
        ours = sinkhorn(case.input("scores", dtype), p["epsilon"], p["iterations"])
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours.numpy(), case.array(f"{part}/q"), atol=bound)


@pytest.mark.parametrize("case", golden_cases("swav"))
def test_golden_swav(case: Case) -> None:
    p = case.params

    def loss(x: dict[str, Tensor]) -> Tensor:
        views = [*x["high"], *x.get("low", [])]
        return swav(
            views,
            p["temperature"],
            assigned=len(x["high"]),
            epsilon=p["epsilon"],
            iterations=p["iterations"],
            queue=x.get("queue"),
        )

    assert_golden(case, loss)


@pytest.mark.parametrize("case", golden_cases("dino"))
def test_golden_dino(case: Case) -> None:
    p = case.params

    def loss(x: dict[str, Tensor]) -> Tensor:
        temperatures = p["teacher_temp"], p["student_temp"]
        return dino([*x["student"]], [*x["teacher"]], x["center"], *temperatures)

    assert_golden(case, loss)
    module = DINO(case.input("center").shape[0], center_momentum=p["center_momentum"]).double()
    module.center.copy_(case.input("center"))
    value = module([*case.input("student")], [*case.input("teacher")], p["teacher_temp"])
    assert value.item() == pytest.approx(float(case.array("f64/loss")), rel=1e-9)
    np.testing.assert_allclose(
        module.state_dict()["center"].numpy(), case.array("f64/center_after"), rtol=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 7), st.integers(0, 10**6))
def test_sinkhorn_marginals_and_permutations(samples: int, prototypes: int, seed: int) -> None:
    scores = draw(seed, samples, prototypes).clamp(-2, 2)
    q = sinkhorn(scores, 0.5, 500)
    torch.testing.assert_close(q.sum(dim=1), torch.ones(samples, dtype=q.dtype))
    even = torch.full((prototypes,), samples / prototypes, dtype=q.dtype)
    torch.testing.assert_close(q.sum(dim=0), even, rtol=1e-6, atol=1e-9)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(samples, generator=generator)
    columns = torch.randperm(prototypes, generator=generator)
    few = sinkhorn(scores, 0.05, 3)
    torch.testing.assert_close(sinkhorn(scores[rows][:, columns], 0.05, 3), few[rows][:, columns])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("epsilon", [1e-3, 0.05])
def test_sinkhorn_is_finite_in_half_precision(dtype: torch.dtype, epsilon: float) -> None:
    """exp(1 / 0.001) is beyond every format; a prototype that nobody is near underflows."""
    scores = draw(0, 8, 5).to(dtype).clamp(-1, 1)
    scores[:, 4] = -1
    q = sinkhorn(scores, epsilon)
    assert torch.isfinite(q).all()
    torch.testing.assert_close(q.sum(dim=1), torch.ones(8))


def test_swapped_prediction_by_hand_and_its_gradient() -> None:
    scores = [draw(seed, 2, 3).requires_grad_() for seed in range(3)]
    codes = [draw(seed + 3, 2, 3).softmax(dim=1) for seed in range(2)]
    pairs = [
        torch.nn.functional.cross_entropy(scores[v] / 0.2, codes[i])
        for i in range(2)
        for v in range(3)
        if v != i
    ]
    torch.testing.assert_close(swapped_prediction(scores, codes, 0.2), sum(pairs) / 4)
    torch.autograd.gradcheck(lambda *s: swapped_prediction(s, codes, 0.2), scores)


def test_no_gradient_flows_into_assignments_or_teacher() -> None:
    first, second = draw(0, 4, 3).requires_grad_(), draw(1, 4, 3).requires_grad_()
    codes = [sinkhorn(x) for x in (first, second)]
    wanted = torch.autograd.grad(swapped_prediction([first, second], codes, 0.1), [first, second])
    got = torch.autograd.grad(swav([first, second], 0.1), [first, second])
    torch.testing.assert_close(got, wanted)
    student = draw(2, 4, 3).requires_grad_()
    dino([student, student], [first, second], torch.zeros(3)).backward()
    assert first.grad is None
    assert student.grad.abs().max() > 0


@pytest.mark.parametrize("where", ["random", "equal", "huge"])
def test_finite_in_float32_at_temperature_one_hundredth(where: str) -> None:
    views = [draw(seed, 6, 4).float() * (1e3 if where == "huge" else 1) for seed in range(2)]
    views = [(views[0] if where == "equal" else x).clone().requires_grad_() for x in views]
    for loss in (
        swav(views, 0.01, epsilon=0.01),
        dino(views, views, torch.zeros(4), 0.01, 0.01),
    ):
        gradients = torch.autograd.grad(loss, views)
        assert torch.isfinite(loss)
        assert all(torch.isfinite(g).all() for g in gradients)


def test_known_minima() -> None:
    sure = 100 * torch.eye(4, dtype=torch.float64)
    assert swav([sure, sure, sure]).item() == pytest.approx(0, abs=1e-12)
    assert dino([sure, sure], [sure, sure], torch.zeros(4)).item() == pytest.approx(0, abs=1e-12)
    undecided = torch.zeros(4, 3, dtype=torch.float64)
    assert swav([undecided, undecided]).item() == pytest.approx(math.log(3))


def test_modules_normalise_keep_their_state_and_restore_it() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = SwAV(5, 3, queue=6).double(), SwAV(5, 3, queue=6).double()
    views = [draw(seed, 4, 5) for seed in range(3)]
    empty = first(views)
    torch.testing.assert_close(first([10 * z for z in views]), empty)  # queue: 4 of 6 before it
    filled = first(views)
    assert filled != empty  # and from here Sinkhorn sees earlier samples
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(views), first(views))

    loss, restored = DINO(5).double(), DINO(5).double()
    loss(views, views[:2])
    assert loss.center.abs().max() > 0
    torch.testing.assert_close(
        loss.center, moved_center(torch.zeros(5, dtype=torch.float64), views[:2])
    )
    restored.load_state_dict(loss.state_dict())
    assert torch.equal(restored.eval()(views, views[:2]), loss.eval()(views, views[:2]))
    assert torch.equal(restored.center, loss.center)  # in evaluation it stays


def test_wrong_input_is_named() -> None:
    scores = [draw(0, 4, 3), draw(1, 4, 3)]
    with pytest.raises(ValueError, match="needs at least two samples"):
        swav([x[:1] for x in scores])
    with pytest.raises(ValueError, match="cannot have 3 assigned"):
        swav(scores, assigned=3)
    with pytest.raises(ValueError, match="as many queues"):
        swav(scores, queue=scores[:1])
    with pytest.raises(ValueError, match="epsilon must be positive"):
        sinkhorn(scores[0], 0.0)
    with pytest.raises(ValueError, match="must be positive"):
        dino(scores, scores, torch.zeros(3), 0.0)
    with pytest.raises(ValueError, match="teacher views"):
        dino(scores[:1], scores, torch.zeros(3))
