"""CI-InfoNCE: both forms, what they specialise to, and theorem 3.2 on small discrete worlds."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from golden.cases import Case, assert_golden, golden_cases
from torch import Tensor

from viewfinder.objectives import (
    ci_infonce,
    draw_partners,
    info_nce,
    info_nce_from_scores,
    nt_xent,
    supcon,
    tag_overlap,
)


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("case", golden_cases("cl_infonce"))
def test_golden_cl_infonce(case: Case) -> None:
    p = case.params
    if p["variant"] == "paper":
        assert_golden(case, lambda x: ci_infonce(x["x"], x["y"], p["temperature"]))
        bound = -ci_infonce(case.input("x"), case.input("y"), p["temperature"])
        assert bound.item() == pytest.approx(float(case.array("f64/mi_estimate")), rel=1e-9)
        return
    options = {"temperature": p["temperature"], "base_temperature": p["base_temperature"]}
    assert_golden(case, lambda x: supcon(x["features"].unbind(1), x["labels"], **options))

    def by_weights(x: dict[str, Tensor]) -> Tensor:
        same = (x["labels"][:, None] == x["labels"]).double()
        return supcon(x["features"].unbind(1), weights=same, **options)

    assert_golden(case, by_weights)


def test_nt_xent_and_supcon_are_special_cases() -> None:
    """Every image a cluster of its own: NT-Xent; labels as clusters: SupCon is the same code."""
    z0, z1 = draw(0, 5, 3), draw(1, 5, 3)
    torch.testing.assert_close(supcon([z0, z1], torch.arange(5), 0.2), nt_xent(z0, z1, 0.2))
    torch.testing.assert_close(ci_infonce(z0, z1, 0.2), info_nce(z0, z1, 0.2) - math.log(5))


def test_equation_1_on_average_over_partners_is_the_mean_of_logs() -> None:
    """All permutations within the clusters, as ``draw_partners`` makes them, equally often."""
    x, y, cluster = draw(0, 5, 3), draw(1, 5, 3), torch.tensor([0, 1, 0, 1, 0])
    losses = []
    for zeros in itertools.permutations([0, 2, 4]):
        for ones in itertools.permutations([1, 3]):
            partner = torch.tensor([zeros[0], ones[0], zeros[1], ones[1], zeros[2]])
            losses.append(ci_infonce(x, y[partner], 0.2))
    wanted = info_nce(x, y, 0.2, cluster=cluster) - math.log(5)
    torch.testing.assert_close(torch.stack(losses).mean(), wanted)


def test_partners_are_of_the_cluster_and_equally_likely() -> None:
    cluster = torch.tensor([3, -1, 3, 8, -1, 3, 8])
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([draw_partners(cluster, generator) for _ in range(3000)])
    assert torch.equal(draws.sort(dim=1).values, torch.arange(7).expand(3000, 7))
    assert (cluster[draws] == cluster).all()
    assert (draws[:, [1, 4]] == torch.tensor([1, 4])).all()  # not known: its own partner
    for sample, members in ((0, [0, 2, 5]), (3, [3, 6])):
        counts = draws[:, sample].bincount(minlength=7)[members]
        assert (counts / 3000 - 1 / len(members)).abs().max() < 0.04


def ci_infonce_of(scores: Tensor) -> Tensor:
    """Equation 1 of a critic's scores (n, n): InfoNCE less log n."""
    return info_nce_from_scores(scores) - math.log(len(scores))


@dataclass(frozen=True)
class World:
    """P(z), P(x|z), P(y|z) of small alphabets."""

    z: Tensor
    x: Tensor
    y: Tensor

    @property
    def pairs(self) -> Tensor:
        """E_z[P(x|z) P(y|z)], (X, Y)."""
        return torch.einsum("z,zx,zy->xy", self.z, self.x, self.y)

    @property
    def apart(self) -> Tensor:
        """P(x) P(y)."""
        return torch.outer(self.z @ self.x, self.z @ self.y)

    @property
    def best_critic(self) -> Tensor:
        return (self.pairs / self.apart).log()

    @property
    def divergence(self) -> float:
        return torch.special.xlogy(self.pairs, self.pairs / self.apart).sum().item()

    @property
    def entropy(self) -> float:
        return torch.special.entr(self.z).sum().item()

    def expected(self, critic: Tensor, n: int) -> float:
        """CI-InfoNCE of a critic (X, Y): the expectation over n pairs, by enumeration."""
        xs, ys = self.pairs.nonzero(as_tuple=True)
        total = 0.0
        for chosen in itertools.product(range(len(xs)), repeat=n):
            x, y = xs[list(chosen)], ys[list(chosen)]
            probability = self.pairs[x, y].prod().item()
            total -= probability * ci_infonce_of(critic[x][:, y]).item()
        return total


def random_world(seed: int, sharpness: float) -> World:
    z, x, y = draw(seed, 3), draw(seed + 1, 3, 3), draw(seed + 2, 3, 2)
    return World(z.softmax(0), (sharpness * x).softmax(1), (sharpness * y).softmax(1))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sharpness", [0.5, 3.0])
def test_theorem_3_2_on_discrete_worlds(seed: int, sharpness: float) -> None:
    world = random_world(10 * seed, sharpness)
    best = [world.expected(world.best_critic, n) for n in (2, 3)]
    assert best[0] < best[1] < world.divergence < world.entropy
    assert best[1] < math.log(3)
    for other in range(3):  # and no critic does better
        critic = world.best_critic + 0.3 * draw(other, *world.pairs.shape)
        assert world.expected(critic, 2) <= best[0] + 1e-12


def test_theorem_3_2_holds_with_equality_where_the_views_know_the_cluster() -> None:
    """H(Z|X) = H(Z|Y) = 0: two x and one y belong to each z alone."""
    z = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    x = torch.eye(3, dtype=torch.float64).repeat_interleave(2, dim=1) * torch.tensor([0.3, 0.7] * 3)
    world = World(z, x, torch.eye(3, dtype=torch.float64))
    assert world.divergence == pytest.approx(world.entropy, rel=1e-12)
    values = [world.expected(world.best_critic, n) for n in (2, 3)]
    assert values[0] < values[1] < world.divergence
    # a batch with each cluster as often as expected: the supremum itself, to the last digit
    clusters = torch.tensor([0, 0, 1, 2] * 8)
    scores = world.best_critic[2 * clusters][:, clusters]
    assert -ci_infonce_of(scores).item() == pytest.approx(world.entropy, rel=1e-12)


def test_tag_overlap_by_hand_and_its_special_case() -> None:
    tags = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]])
    wanted = torch.tensor([[3, 1, 0, 3], [1, 3, 0, 1], [0, 0, 3, 0], [3, 1, 0, 3]]) / 3
    torch.testing.assert_close(tag_overlap(tags), wanted)
    views = [draw(0, 4, 3), draw(1, 4, 3)]
    labels = torch.tensor([0, 2, 1, 0])
    one_hot = torch.nn.functional.one_hot(labels)
    torch.testing.assert_close(
        supcon(views, weights=tag_overlap(one_hot), temperature=0.2), supcon(views, labels, 0.2)
    )
    with pytest.raises(ValueError, match="of 0 and 1"):
        tag_overlap(torch.tensor([[2, 0]]))


@pytest.mark.parametrize("views", [1, 2, 3])
def test_weighted_positives_by_hand(views: int) -> None:
    """The weighted mean of logs, one anchor and one positive at a time; weights far below 1."""
    z = [draw(seed, 4, 3) for seed in range(views)]
    weights = 0.01 * draw(9, 4, 4).abs()
    rows = torch.nn.functional.normalize(torch.cat(z), dim=1)
    s = (rows @ rows.T / 0.2).fill_diagonal_(float("-inf"))
    log_p = s - s.logsumexp(dim=1, keepdim=True)
    full = weights.repeat(views, views).fill_diagonal_(0)
    wanted = -(full * log_p.nan_to_num(neginf=0.0)).sum(dim=1) / full.sum(dim=1)
    torch.testing.assert_close(supcon(z, weights=weights, temperature=0.2), wanted.mean())
    torch.testing.assert_close(supcon(z, weights=7 * weights, temperature=0.2), wanted.mean())
    halves = (slice(0, 1), slice(1, 4))
    parts = [supcon(z, weights=weights, temperature=0.2, rows=half) for half in halves]
    torch.testing.assert_close((parts[0] + 3 * parts[1]) / 4, wanted.mean())


def test_weights_that_mean_nothing_are_refused() -> None:
    z = [draw(0, 4, 3)]
    with pytest.raises(ValueError, match="must not be negative"):
        supcon(z, weights=-torch.ones(4, 4))
    with pytest.raises(ValueError, match="either labels or a mask"):
        supcon(z, torch.arange(4), weights=torch.ones(4, 4))
    with pytest.raises(ValueError, match="no anchor has a positive"):
        supcon(z, weights=torch.eye(4))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("loss", ["equation 1", "weights"])
def test_precision_gradients_and_low_temperature(loss: str, dtype: torch.dtype) -> None:
    x, y = draw(0, 2, 3).to(dtype).requires_grad_(), draw(1, 2, 3).to(dtype).requires_grad_()
    weights = torch.tensor([[1.0, 0.3], [0.3, 1.0]])

    def compute(a: Tensor, b: Tensor, temperature: float = 0.3) -> Tensor:
        if loss == "equation 1":
            return ci_infonce(a, b, temperature)
        return supcon([a, b], weights=weights, temperature=temperature)

    cold = compute(x, y, 0.01)
    gradients = torch.autograd.grad(cold, [x, y])
    assert cold.dtype == dtype
    assert all(torch.isfinite(t).all() for t in (cold, *gradients))
    if dtype == torch.float64:
        torch.autograd.gradcheck(compute, (x, y))
    with pytest.raises(ValueError, match="needs at least two samples"):
        ci_infonce(x[:1], y[:1])


def _mixture(spread: float, pairs: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs from a mixture of four Gaussians on a line, x and y of one component, and the scores of
    the best critic, log( p(x, y) / (p(x) p(y)) ), for all of them: x-y pairs on the diagonal."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.tensor([-3.0, -1.0, 1.0, 3.0], dtype=torch.float64)
    z = torch.randint(4, (pairs,), generator=generator)
    x, y = (
        means[z] + spread * torch.randn(pairs, generator=generator, dtype=torch.float64)
        for _ in range(2)
    )

    def components(of: torch.Tensor) -> torch.Tensor:
        return -((of[:, None] - means) ** 2) / (2 * spread**2)  # constants cancel in the ratio

    log_x, log_y = components(x), components(y)
    joint = (log_x[:, None] + log_y[None]).logsumexp(dim=2) - math.log(4)
    apart = [log.logsumexp(dim=1) - math.log(4) for log in (log_x, log_y)]
    return z, joint - apart[0][:, None] - apart[1][None]


@pytest.mark.parametrize("spread", [0.2, 1.0, 2.0])
def test_on_gaussian_mixtures_the_bound_is_below_the_divergence_and_that_below_h_z(
    spread: float,
) -> None:
    """Theorem 3.2: -loss <= KL(E_z[P(x|z) P(y|z)] || P(x) P(y)) <= H(Z), within the error of the
    estimates; with components apart, where H(Z|X) = 0, all are equal up to the log of the sum."""
    batches, size = 60, 512
    bounds, ratios = [], []
    for seed in range(batches):
        _, scores = _mixture(spread, size, seed)
        bounds.append(-ci_infonce_of(scores))
        ratios.append(scores.diagonal().mean())
    bound, divergence = torch.stack(bounds), torch.stack(ratios)
    error = 3 * (bound - divergence).std() / batches**0.5
    assert bound.mean() <= divergence.mean() + error
    assert divergence.mean() <= math.log(4) + 3 * divergence.std() / batches**0.5
    # 1/n sum_j exp(f) has mean 1 and a variance that vanishes with n: little is lost at n = 512
    assert bound.mean() >= divergence.mean() - 0.01
    if spread == 0.2:
        assert bound.mean().item() == pytest.approx(math.log(4), abs=0.02)
    else:
        assert divergence.mean() < math.log(4) - 0.05


def test_tag_overlap_is_the_jaccard_index_of_scikit_learn() -> None:
    from sklearn.metrics import jaccard_score

    tags = torch.rand(12, 6, generator=torch.Generator().manual_seed(0)) < 0.4
    found = tag_overlap(tags)
    for i in range(12):
        for j in range(12):
            wanted = 1 if i == j else jaccard_score(tags[i], tags[j], zero_division=0)
            assert found[i, j].item() == pytest.approx(wanted)
