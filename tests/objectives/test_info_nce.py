"""InfoNCE: the bound on mutual information, and positives and stale keys among the negatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from viewfinder.negatives import Contrast
from viewfinder.objectives import (
    InfoNCE,
    cross_entropy,
    gathered,
    info_nce,
    info_nce_from_scores,
    info_nce_with_negatives,
    supcon,
)


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(("dim", "samples"), [(1, 64), (4, 64), (4, 512), (10, 128)])
def test_never_above_the_mutual_information_of_gaussians(
    rho: float, dim: int, samples: int
) -> None:
    """With the best critic there is, log p(y|x) / p(y), of known correlated Gaussians."""
    truth = -dim / 2 * math.log(1 - rho**2)
    estimates = []
    for seed in range(20):
        x, noise = draw(2 * seed, samples, dim), draw(2 * seed + 1, samples, dim)
        y = rho * x + math.sqrt(1 - rho**2) * noise
        log_conditional = -((y[None] - rho * x[:, None]) ** 2) / (2 * (1 - rho**2))
        scores = (log_conditional + y[None] ** 2 / 2).sum(dim=2)
        estimates.append(math.log(samples) - info_nce_from_scores(scores).item())
        assert estimates[-1] <= math.log(samples) + 1e-12
    mean = sum(estimates) / len(estimates)
    noise = torch.tensor(estimates).std().item() / math.sqrt(len(estimates))
    assert mean <= truth + 3 * noise + 1e-12
    if truth < math.log(samples) / 2:  # and it is tight where its ceiling is far away
        assert mean >= truth - 3 * noise - 0.1


def test_scores_of_the_cosine_are_info_nce() -> None:
    q, k = draw(0, 6, 3), draw(1, 6, 3)
    scores = torch.nn.functional.cosine_similarity(q[:, None], k[None], dim=2) / 0.2
    torch.testing.assert_close(info_nce_from_scores(scores), info_nce(q, k, 0.2))
    with pytest.raises(ValueError, match=r"\(N, N\)"):
        info_nce_from_scores(scores[:3])


def by_hand(q: Tensor, k: Tensor, negatives: Contrast, cluster: Tensor | None, stale: str) -> float:
    """The loss one query at a time, from the words of its documentation."""
    total = 0.0
    for i in range(len(q)):
        cosine = torch.nn.functional.cosine_similarity
        positives = [float(cosine(q[i], k[i], dim=0)) / 0.2]
        partition = [positives[0]]
        rows = range(len(negatives.table)) if negatives.rows is None else negatives.rows
        for m in rows if negatives.rows is None or rows.ndim == 1 else rows[i]:
            if m < 0:
                continue
            image = int(negatives.index[m])
            s = float(cosine(q[i], negatives.table[m], dim=0)) / 0.2
            if image == -1 or (image == negatives.own[i] and stale == "excluded"):
                continue
            partition.append(s)
            if image == negatives.own[i]:
                related = stale == "positive"
            else:
                related = cluster is not None and 0 <= cluster[i] == negatives.cluster[m]
            if related:
                positives.append(s)
        log_partition = math.log(sum(math.exp(s) for s in partition))
        total += log_partition - sum(positives) / len(positives)
    return total / len(q)


@pytest.mark.parametrize("stale", ["excluded", "positive", "negative"])
@pytest.mark.parametrize("clusters", [False, True])
@pytest.mark.parametrize("rows", ["all", "shared", "of each, few", "of each, many", "sets"])
def test_given_negatives_by_hand(stale: str, clusters: bool, rows: str) -> None:
    """Rows that are empty, unknown, of the query's own image, none at all, or there twice."""
    q, k, own = draw(0, 4, 3), draw(1, 4, 3), torch.tensor([5, 6, 7, 8])
    index = torch.tensor([5, 9, 7, -2, -1, 6])
    groups = torch.tensor([0, 1, 0, -1, 0, 1])
    if rows == "sets":
        sets = [x.expand(4, 6).clone() for x in (index, groups)]
        negatives = Contrast.of(draw(2, 4, 6, 3), *sets, own=own)
    else:
        chosen = {
            "all": None,
            "shared": torch.tensor([0, 3, -1, 5, 5]),
            "of each, few": torch.tensor([[0, 2], [1, 1], [-1, 4], [3, 5]]),
            "of each, many": torch.tensor([[0, 1, 2, 3, 4, 5, -1]] * 4).roll(2, 1),
        }[rows]
        negatives = Contrast(draw(2, 6, 3), chosen, index=index, cluster=groups, own=own)
    cluster = torch.tensor([0, 1, 0, -1]) if clusters else None
    wanted = by_hand(q, k, negatives, cluster, stale)
    for dense in (0, 100):  # similarities of gathered rows, and gathered similarities of all
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gathered, "DENSE", dense)
            ours = info_nce_with_negatives(q, k, negatives, 0.2, cluster=cluster, stale=stale)
        assert ours.item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("dense", [0, 100])
def test_dot_products_take_lengths_as_they_are(dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of the plane whose products can be read off: 2, 0, 6 and 0, 3, 0."""
    monkeypatch.setattr(gathered, "DENSE", dense)
    q = torch.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    k = torch.tensor([[1.0, 5.0], [0.0, 3.0]], dtype=torch.float64)
    log = [math.log(1 + math.exp(0 - 2)), math.log(1 + math.exp(5 - 3))]
    loss = info_nce(q, k, 1.0, similarity="dot")
    assert loss.item() == pytest.approx(sum(log) / 2, rel=1e-12)
    table = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    log = [math.log(1 + math.exp((6 - 2) / 0.5)), math.log(1 + math.exp((4 - 3) / 0.5))]
    for rows in (None, torch.tensor([[0], [0]])):  # shared by the queries, and each query's own
        ours = info_nce_with_negatives(
            q, torch.tensor([[1.0, 5.0], [0.0, 3.0]]).double(), Contrast(table, rows), 0.5,
            similarity="dot",
        )  # fmt: skip
        assert ours.item() == pytest.approx(sum(log) / 2, rel=1e-12)


def test_encoders_that_see_nothing_lose_log_of_all_candidates() -> None:
    z = torch.ones(7, 2)
    assert info_nce(z, z, 1.0, similarity="dot").item() == pytest.approx(math.log(7), abs=1e-6)
    loss = info_nce_with_negatives(z, z, Contrast(z), 1.0, similarity="dot")
    assert loss.item() == pytest.approx(math.log(8), abs=1e-6)


def test_dot_products_of_unit_vectors_are_the_cosine() -> None:
    q, k = (torch.nn.functional.normalize(draw(seed, 5, 3), dim=1) for seed in (0, 1))
    torch.testing.assert_close(info_nce(q, k, 0.2, similarity="dot"), info_nce(q, k, 0.2))
    with pytest.raises(ValueError, match="similarity is 'euclidean'"):
        info_nce(q, k, 0.2, similarity="euclidean")  # type: ignore[arg-type]


def test_a_queue_that_holds_the_current_keys_does_not_oppose_them() -> None:
    """A known bug: with its own key among the negatives the loss is stuck above log 2."""
    q = draw(0, 4, 64)
    held = Contrast(q.clone(), index=torch.arange(4), own=torch.arange(4))
    kept_out = info_nce_with_negatives(q, q, held, 0.01)
    as_negative = info_nce_with_negatives(q, q, held, 0.01, stale="negative")
    assert kept_out < 1e-12
    assert as_negative >= math.log(2)


def test_an_empty_queue_has_nothing_to_contrast_with() -> None:
    q = draw(0, 4, 3).requires_grad_()
    empty = Contrast(torch.zeros(5, 3), index=torch.full((5,), -1), own=torch.arange(4))
    loss = info_nce_with_negatives(q, draw(1, 4, 3), empty, 0.1)
    loss.backward()
    assert loss == 0
    assert q.grad.abs().max() < 1e-15


def test_in_batch_clusters_are_supcon_across_two_views() -> None:
    """With clusters of one image only the own key is a positive; with one cluster all are."""
    q, k = draw(0, 5, 3), draw(1, 5, 3)
    alone = info_nce(q, k, 0.2, cluster=torch.arange(5))
    torch.testing.assert_close(alone, info_nce(q, k, 0.2))
    torch.testing.assert_close(info_nce(q, k, 0.2, cluster=torch.full((5,), -1)), alone)
    scores = torch.nn.functional.cosine_similarity(q[:, None], k[None], dim=2) / 0.2
    together = info_nce(q, k, 0.2, cluster=torch.zeros(5, dtype=torch.int64))
    torch.testing.assert_close(together, -scores.log_softmax(dim=1).mean())


def test_unknown_labels_of_supcon_have_only_their_own_views() -> None:
    views = [draw(0, 5, 3), draw(1, 5, 3)]
    unknown = supcon(views, torch.tensor([-1, 0, 0, -1, -1]), 0.2)
    spelled_out = supcon(views, torch.tensor([7, 0, 0, 8, 9]), 0.2)
    torch.testing.assert_close(unknown, spelled_out)


def test_wrong_input_is_named() -> None:
    q, k = draw(0, 4, 3), draw(1, 4, 3)
    negatives = Contrast(draw(2, 6, 3), index=torch.arange(6), own=torch.arange(3))
    with pytest.raises(ValueError, match="query and key must both be"):
        info_nce(q, k[:3])
    with pytest.raises(ValueError, match="temperature must be positive"):
        info_nce(q, k, 0.0)
    with pytest.raises(ValueError, match=r"negatives must be \(K, D\).*\(6, 4\)"):
        info_nce_with_negatives(q, k, Contrast(draw(2, 6, 4)))
    with pytest.raises(ValueError, match="4 queries have 2 sets"):
        info_nce_with_negatives(q, k, Contrast.of(draw(2, 2, 6, 3)))
    with pytest.raises(ValueError, match="clusters of the negatives"):
        info_nce_with_negatives(q, k, Contrast(draw(2, 6, 3)), cluster=torch.arange(4))
    with pytest.raises(ValueError, match=r"own must be \(4,\)"):
        info_nce_with_negatives(q, k, negatives)
    with pytest.raises(ValueError, match="there is no key"):
        info_nce_with_negatives(q, None, Contrast(draw(2, 6, 3)))
    with pytest.raises(ValueError, match="one number"):
        info_nce(q, k, torch.ones(3))
    with pytest.raises(ValueError, match=r"a table of negatives is \(M, D\)"):
        Contrast(draw(2, 2, 6, 3))
    with pytest.raises(ValueError, match="one per row of the table"):
        Contrast(draw(2, 6, 3), index=torch.arange(5))
    with pytest.raises(ValueError, match="no anchor has a positive"):
        supcon([q], torch.arange(4), missing="zero")
    with pytest.raises(ValueError, match="either labels or a mask"):
        supcon([q, k], torch.arange(4), mask=torch.ones(4, 4))
    with pytest.raises(ValueError, match="labels run from -1 to 2"):
        cross_entropy(q, torch.tensor([0, 1, 2, -1]))
    with pytest.raises(ValueError, match="3 logits allow 0 to 2"):
        cross_entropy(q, torch.tensor([0, 1, 3, 0]))


def test_modules_say_what_they_are() -> None:
    assert repr(InfoNCE(0.1)) == "InfoNCE(temperature=0.1, similarity='cosine', stale='excluded')"
