from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.cases import Case, golden_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes import nearest_neighbours
from viewfinder.evaluation.probes.nearest_neighbours import knn_scores
from viewfinder.evaluation.probes.scores import accuracies


@pytest.mark.parametrize("case", golden_cases("knn"))
def test_golden_weighted_vote(case: Case) -> None:
    classes = case.params["num_classes"]
    scores = knn_scores(
        case.input("features"),
        case.input("bank"),
        case.input("bank_labels"),
        case.params["k"],
        case.params["temperature"],
        classes,
    )
    np.testing.assert_allclose(scores.numpy(), case.array("f64/scores"), rtol=1e-9, atol=1e-12)
    assert torch.equal(scores.argmax(1), torch.from_numpy(case.array("f64/top1")))
    top1, top5, _ = accuracies(scores, case.input("targets"), [str(c) for c in range(classes)])
    assert 100 * top1 == pytest.approx(float(case.array("f64/acc_top1")), abs=1e-9)
    if "acc_top5" in case.about["outputs"]:
        assert top5 is not None
        assert 100 * top5 == pytest.approx(float(case.array("f64/acc_top5")), abs=1e-9)


@pytest.mark.parametrize("case", golden_cases("knn_majority"))
def test_golden_majority_vote(case: Case) -> None:
    labels = case.input("bank_labels")
    scores = knn_scores(
        case.input("features"),
        case.input("bank"),
        labels,
        case.params["k"],
        None,
        int(labels.max()) + 1,
    )
    assert torch.equal(scores.argmax(1), torch.from_numpy(case.array("f64/top1")))


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    k=st.integers(1, 30),
    temperature=st.sampled_from([None, 0.05, 1.0]),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_scale_order_and_blocks_do_not_matter(
    seed: int, k: int, temperature: float | None, scale: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    bank, queries = torch.randn(30, 4, generator=generator), torch.randn(7, 4, generator=generator)
    bank, queries = bank.double(), queries.double()
    labels = torch.randint(0, 3, (30,), generator=generator)
    expected = knn_scores(queries, bank, labels, k, temperature, 3)
    shuffled = torch.randperm(30, generator=generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_neighbours, "BLOCK_SIMILARITIES", 60)  # two queries at a time
        got = knn_scores(scale * queries, bank[shuffled], labels[shuffled], k, temperature, 3)
    torch.testing.assert_close(got, expected)


def test_low_temperature_in_float32_stays_finite() -> None:
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    scores = knn_scores(x, x, torch.arange(50) % 5, 10, 0.01, 5)
    assert bool(scores.isfinite().all())
    # each query is in the bank, and at this temperature its own copy outweighs the rest
    assert torch.equal(scores.argmax(1), torch.arange(50) % 5)


@pytest.mark.parametrize(
    ("k", "temperature"), [(0, 0.1), (11, 0.1), (5, 0.0), (5, -1.0), (5, 1e-4)]
)
def test_impossible_values_are_refused(k: int, temperature: float) -> None:
    x = torch.randn(10, 3)
    with pytest.raises(UserError, match=r"k =|temperature"):
        knn_scores(x, x, torch.zeros(10, dtype=torch.long), k, temperature, 1)


def test_shapes_and_labels_that_do_not_fit() -> None:
    x, labels = torch.randn(10, 3), torch.zeros(10, dtype=torch.long)
    with pytest.raises(ValueError, match="features"):
        knn_scores(x[:, :2], x, labels, 1, 0.1, 1)
    with pytest.raises(ValueError, match="bank_labels"):
        knn_scores(x, x, labels[:4], 1, 0.1, 1)
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        knn_scores(x, x, labels + 1, 1, 0.1, 1)
