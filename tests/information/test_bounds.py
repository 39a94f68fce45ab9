"""Bounds on mutual information: golden scores, exact worlds, what holds for every critic."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from golden.cases import FOLDER, golden_cases
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from viewfinder.information import bounds, vince
from viewfinder.information.table import BOUNDS, Bound

MI = FOLDER / "mi"
needs_golden = pytest.mark.skipif(
    not (MI / "mi_golden.json").exists(), reason="VIEWFINDER_GOLDEN has no mi folder"
)
GOLDEN: dict[str, Callable[[Tensor], Tensor]] = {
    "infonce_rows": bounds.info_nce,
    "infonce_cols": lambda s: bounds.info_nce(s.T),
    "infonce_symmetric": bounds.info_nce_both,
    "dv_offdiag": bounds.donsker_varadhan,
    "nwj_offdiag": bounds.nwj,
    "nwj_offdiag_shifted": lambda s: bounds.nwj(s + 1),
    "uba_offdiag": bounds.uba,
    "js_gan": bounds.jensen_shannon,
    "smile_clip1": lambda s: bounds.smile(s, 1),
    "smile_clip5": bounds.smile,
    "log_K": lambda s: s.new_tensor(BOUNDS["info-nce"].ceiling(s.shape[1])),  # type: ignore[misc]
}
SCORED = [row for row in BOUNDS.values() if row.takes == "scores"]


def about_mi() -> dict[str, Any]:
    file = MI / "mi_golden.json"
    return json.loads(file.read_text()) if file.exists() else {"scores": {}}


def each(rows: list[Bound]) -> Any:
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


# --- values that others computed


@needs_golden
@pytest.mark.parametrize("name", about_mi()["scores"])
@pytest.mark.parametrize("bound", GOLDEN)
def test_golden_scores(name: str, bound: str) -> None:
    scores = torch.from_numpy(np.load(MI / "mi_golden.npz")[f"s/{name}"])
    wanted = float(about_mi()["scores"][name]["values"][bound])
    assert float(GOLDEN[bound](scores)) == pytest.approx(wanted, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("case", golden_cases("vince_bound"))
def test_golden_vince(case: Any) -> None:
    pos, neg = case.input("pos"), case.input("neg")
    scores = torch.cat([pos[:, None], neg], 1)
    weighted = case.params["variant"] == "weighted"
    r = case.input("r") if weighted else None
    loss = vince.equation_4(scores) if r is None else vince.corollary_3_1_1(scores, r)
    loss.backward()
    torch.testing.assert_close(
        loss.detach(), torch.tensor(case.array("f64/loss")), rtol=1e-9, atol=0
    )
    for name, x in (("pos", pos), ("neg", neg), *((("r", r),) if r is not None else ())):
        wanted = torch.from_numpy(case.array(f"f64/grad/{name}"))
        error = (x.grad - wanted).abs().max()
        assert error <= 1e-8 * wanted.abs().max() + 1e-11, name


# --- small worlds, by enumeration


class World:
    """A joint distribution, a critic, an acceptance probability r(y|y_1), and K candidates."""

    def __init__(self, p: Any, f: Any, r: Any, k: int, golden: Any = None) -> None:
        self.p, self.f, self.r = (torch.tensor(x, dtype=torch.float64) for x in (p, f, r))
        self.k, self.golden = k, golden or {}
        self.p_y = self.p.sum(0)
        q = self.r * self.p_y
        self.q = q / q.sum(1, keepdim=True)

    @property
    def information(self) -> float:
        ratio = self.p / (self.p.sum(1, keepdim=True) * self.p_y)
        return float(torch.xlogy(self.p, ratio.masked_fill(self.p == 0, 1)).sum())

    def outcomes(self, proposal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All (x, y_1, ..., y_K) with their probability, y_j drawn by row y_1 of ``proposal``."""
        sizes = [len(self.p), *[len(self.p_y)] * self.k]
        at = torch.cartesian_prod(*(torch.arange(s) for s in sizes))
        x, y = at[:, 0], at[:, 1:]
        weight = self.p[x, y[:, 0]] * proposal[y[:, :1], y[:, 1:]].prod(1)
        return weight, self.f[x[:, None], y], y

    def mean(self, proposal: Tensor, of: Callable[[Tensor, Tensor], Tensor]) -> float:
        """The expectation of a function of scores (1, K) and of y (1, K)."""
        weight, scores, y = self.outcomes(proposal)
        total = 0.0
        for w, s, where in zip(weight, scores, y, strict=True):
            if w > 0:
                total += float(w) * float(of(s[None], where[None]))
        return total

    @property
    def marginal(self) -> Tensor:
        return self.p_y.expand(len(self.p_y), -1)


def worlds() -> Iterator[World]:
    """Those of the golden folder, or one of them, which anybody can write down."""
    if not (MI / "mi_golden.json").exists():
        far, bit = [[0.001, 1.0], [1.0, 0.001]], [[0.5, 0.0], [0.0, 0.5]]
        yield World(bit, [[10.0, -10.0], [-10.0, 10.0]], far, 6)
        return
    for row in about_mi()["vince_exact_enumeration"]["rows"]:
        if "violates_I" in row:
            yield World(row["p"], row["f"], row["r"], row["K"], row)


WORLDS = list(worlds())
world = pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.golden.get("case", "bit"))


@world
def test_vince_on_small_worlds(world: World) -> None:
    """Equation 4 and corollary 3.1.1 as enumerated; equation 3 is I_NCE - log K - K + 1."""
    ratio = world.marginal / world.q
    nce = world.mean(world.marginal, lambda s, y: bounds.info_nce(s, 0))
    eq4 = world.mean(world.q, lambda s, y: -vince.equation_4(s))
    eq3 = world.mean(world.q, lambda s, y: -vince.equation_3(s, ratio[y[:, :1], y[:, 1:]]))
    cor = world.mean(world.q, lambda s, y: -vince.corollary_3_1_1(s, world.r[y[:, :1], y[:, 1:]]))
    assert eq3 == pytest.approx(nce - math.log(world.k) - world.k + 1, abs=1e-9)
    assert nce <= world.information + 1e-12
    if world.golden:
        assert world.information == pytest.approx(world.golden["I"])
        wanted = [
            world.golden[key] for key in ("infonce", "eq4", "thm31_printed", "cor311_printed")
        ]
        assert [nce, eq4, eq3, cor] == pytest.approx(wanted, abs=1e-9)
        above = {"eq4": eq4 > world.information, "cor311_printed": cor > world.information}
        for name, exceeds in above.items():
            assert exceeds == (name in world.golden["violates_I"])


@pytest.mark.parametrize("k", [2, 5, 64])
def test_where_everything_is_accepted_vince_is_info_nce_up_to_its_constant(k: int) -> None:
    """r = 1 makes the proposal the marginal. The constants: none for equation 4, 1 - K for both
    corollaries, 1 - K - log K for equation 3 as it is printed."""
    scores = 3 * torch.randn(20, k, generator=torch.Generator().manual_seed(k)).double()
    ones, nce = torch.ones(20, k - 1).double(), float(bounds.info_nce(scores, 0))
    for value, constant in (
        (vince.equation_4(scores), 0),
        (vince.corollary_3_1_1(scores, ones), 1 - k),
        (vince.corollary_3_1_2(scores, 1.0), 1 - k),
        (vince.equation_3(scores, ones), 1 - k - math.log(k)),
    ):
        assert -float(value) == pytest.approx(nce + constant, abs=1e-12)


def test_what_is_no_bound_exceeds_the_information_of_a_fair_bit() -> None:
    """One violation for each row that declares to be none: I = log 2."""
    world = next(w for w in WORLDS if w.k == 6)
    fails = {
        "vince-practical": world.mean(world.q, lambda s, y: -vince.equation_4(s)),
        "vince-rejection": world.mean(
            world.q, lambda s, y: -vince.corollary_3_1_1(s, world.r[y[:, :1], y[:, 1:]])
        ),
    }
    plus = BOUNDS["vince-plus"]  # the same with an acceptance that may be learned to be this one
    fails["vince-plus"] = world.mean(world.q, lambda s, y: plus.value(plus.options(), s))
    # batches of two pairs (x_i = y_i fair bits), and the best critic there is, cut at -50
    critic = torch.tensor([[1.0, -50.0], [-50.0, 1.0]], dtype=torch.float64) * math.log(2)
    batches = [critic[list(x)][:, list(x)] for x in product((0, 1), repeat=2)]
    for row in SCORED:
        if not row.lower_bound:
            mean = sum(float(row.value(row.options(), s)) for s in batches) / len(batches)
            fails[row.name] = mean
    assert {row.name for row in BOUNDS.values() if not row.lower_bound} == set(fails)
    assert all(value > math.log(2) + 0.1 for value in fails.values()), fails


def test_corollary_3_1_2_is_not_below_equation_3_and_says_nothing() -> None:
    """The first with a critic that is worse than none, whichever way equation 3 is normalised."""
    bit, r = [[0.5, 0.0], [0.0, 0.5]], [[0.5, 1.0], [1.0, 0.5]]
    for w in (World(bit, [[-1.0, 1.0], [1.0, -1.0]], r, 3), *WORLDS):
        c = (w.marginal / w.q).min(1).values ** (w.k - 1)
        value = w.mean(w.q, lambda s, y, c=c: -vince.corollary_3_1_2(s, c[y[:, 0]]))
        equation_3 = w.mean(w.marginal, lambda s, y: bounds.info_nce(s, 0)) - w.k + 1
        if not w.golden and w.k == 3:
            assert value > equation_3 + 0.1
        assert value <= math.log(w.k) - w.k + 1 < 0


@each([row for row in BOUNDS.values() if row.ceiling is not None and row.takes == "scores"])
@given(st.integers(2, 9), st.integers(0, 2**32 - 1), st.floats(0, 200))
def test_no_scores_reach_above_the_ceiling(row: Bound, k: int, seed: int, scale: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    scores = torch.randn(k, k, generator=draw, dtype=torch.float64) * scale
    value = float(row.value(row.options(), scores))
    assert row.ceiling is not None and value <= row.ceiling(k) + 1e-9


@each([row for row in SCORED if row.lower_bound])
@pytest.mark.parametrize("k", [2, 3])
@given(st.integers(0, 2**32 - 1))
def test_a_lower_bound_is_below_on_any_world_with_any_critic(row: Bound, k: int, seed: int) -> None:
    """The mean over all batches of k pairs of a world of two by two symbols, exactly."""
    draw = np.random.default_rng(seed)
    p = draw.dirichlet(np.full(4, 0.4)).reshape(2, 2)
    f = torch.from_numpy(draw.normal(size=(2, 2)) * draw.choice([0.1, 1, 5]))
    independent = p.sum(1, keepdims=True) * p.sum(0)
    known = float(np.sum(p * np.log(np.where(p > 0, p, 1) / independent.clip(1e-300)), where=p > 0))
    mean = 0.0
    for pairs in product(product((0, 1), repeat=2), repeat=k):
        weight = math.prod(p[pair] for pair in pairs)
        x, y = (list(side) for side in zip(*pairs, strict=True))
        mean += weight * float(row.value(row.options(), f[x][:, y]))
    assert mean <= known + 1e-9


# --- correlated Gaussians, whose information has a closed form


@each([row for row in SCORED if row.lower_bound])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_a_lower_bound_is_below_the_closed_form_with_the_best_critic(
    row: Bound, rho: float
) -> None:
    known, draw = -0.5 * math.log(1 - rho**2), torch.Generator().manual_seed(0)
    x = torch.randn(200, 64, generator=draw, dtype=torch.float64)
    noise = torch.randn(200, 64, generator=draw, dtype=torch.float64)
    y = rho * x + math.sqrt(1 - rho**2) * noise
    gap = y[:, None, :] - rho * x[:, :, None]
    ratio = known - gap**2 / (2 * (1 - rho**2)) + y[:, None, :] ** 2 / 2
    values = torch.stack([row.value(row.options(), s) for s in ratio])
    error = float(values.std() / math.sqrt(len(values)))
    assert float(values.mean()) <= known + 3 * error + 1e-12
    assert float(values.mean()) >= 0.9 * known - 3 * error - 0.01  # and says something


def test_barber_agakov_with_the_true_conditional_is_the_information() -> None:
    rho, draw = 0.8, torch.Generator().manual_seed(0)
    x = torch.randn(20000, generator=draw, dtype=torch.float64)
    y = rho * x + math.sqrt(1 - rho**2) * torch.randn(20000, generator=draw, dtype=torch.float64)
    normal = torch.distributions.Normal
    log_p = normal(0.0, 1.0).log_prob(x)
    known = -0.5 * math.log(1 - rho**2)
    for spread, tight in ((math.sqrt(1 - rho**2), True), (1.0, False)):
        value = bounds.barber_agakov(normal(rho * y, spread).log_prob(x), log_p)
        assert float(value) < known + 0.02
        assert (abs(float(value) - known) < 0.02) is tight


# --- as functions


@each(SCORED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept_and_gradients_are_right(row: Bound, dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(1)
    scores = torch.randn(4, 4, generator=draw, dtype=torch.float64)
    value = row.value(row.options(), scores.to(dtype))
    assert value.dtype == dtype and value.shape == ()
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: row.value(row.options(), s), scores)
    assert torch.autograd.gradcheck(bounds.jensen_shannon, scores)


@each(SCORED)
@pytest.mark.parametrize("shape", [(4,), (0, 4), (3, 1), (5, 4)])
def test_scores_of_another_shape_are_refused(row: Bound, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="scores"):
        row.value(row.options(), torch.zeros(shape))


def test_the_pair_may_stand_in_any_column() -> None:
    scores = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    swapped = scores.clone()
    for i in range(5):
        swapped[i, [0, i]] = scores[i, [i, 0]]
    for bound in (bounds.info_nce, bounds.nwj, bounds.donsker_varadhan, bounds.jensen_shannon):
        torch.testing.assert_close(bound(swapped, 0), bound(scores))
        torch.testing.assert_close(bound(scores, torch.arange(5)), bound(scores))


def test_mine_without_an_average_has_the_gradient_of_donsker_varadhan() -> None:
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores.requires_grad_()
    loss, average = bounds.mine_loss(scores)
    (mine,) = torch.autograd.grad(loss, scores)
    (wanted,) = torch.autograd.grad(-bounds.donsker_varadhan(scores), scores)
    torch.testing.assert_close(mine, wanted)
    # the average is that of the partitions, and divides the next gradient
    loss, following = bounds.mine_loss(scores * 2, average, decay=0.9)
    off = ~torch.eye(6, dtype=torch.bool)
    partition = (2 * scores)[off].exp().mean()
    torch.testing.assert_close(following.exp(), 0.9 * average.exp() + 0.1 * partition.detach())
    (mine,) = torch.autograd.grad(loss, scores)
    (by_hand,) = torch.autograd.grad(
        partition / following.exp() - (2 * scores).diagonal().mean(), scores
    )
    torch.testing.assert_close(mine, by_hand)


@each(SCORED)
def test_a_constant_critic_has_the_value_0(row: Bound) -> None:
    assert float(row.value(row.options(), torch.zeros(5, 5))) == pytest.approx(0, abs=1e-6)


def test_only_lower_bounds_of_a_critic_are_reported() -> None:
    assert [row.name for row in BOUNDS.values() if row.reported] == ["info-nce", "nwj"]
    assert all(row.paper and row.formula for row in BOUNDS.values())
