"""VINCE+: why its repair, and that the repair has the gradients it says, by enumeration."""

from __future__ import annotations

import math
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain, Spec
from viewfinder.information.table import BOUNDS
from viewfinder.negatives import NEGATIVES, Bank, Contrast, Proposal
from viewfinder.negatives.learned import Acceptance
from viewfinder.negatives.pool import Pool
from viewfinder.objectives import NCE, OBJECTIVES, info_nce_with_negatives, local_aggregation
from viewfinder.objectives.vince_plus import vince_plus
from viewfinder.recipes.recipe import build

N, DIM, DRAWS = 5, 3, 2
INDEX = torch.tensor([3, 0])
TEMPERATURE = 0.5


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=stream(seed), dtype=torch.float64)


def pool(seed: int = 0, **more: Any) -> Pool:
    table = draw(seed, N, DIM)
    given: dict[str, Any] = {"at": table[INDEX], "index": INDEX, "seed": 7}
    return Pool(table, cluster=torch.full((N,), -1), **{**given, **more})


def acceptance(knots: int = 4, draws: int = DRAWS, **more: Any) -> Acceptance:
    made = Acceptance(draws, **{"knots": knots, "least": 0.05, "rate": 0.4, **more}).double()
    with torch.no_grad():
        made.g.copy_(draw(9, knots) / 5)
    return made


def log_q_of_all(made: Acceptance, of: Pool) -> Tensor:
    """log q (n, M) of every row, by the definition; -inf of the query's own."""
    cosine = torch.nn.functional.cosine_similarity(of.at[:, None], of.table[None], dim=2)
    own = torch.arange(len(of.table)) == of.index[:, None]
    return made.log_acceptance(cosine).masked_fill(own, float("-inf")).log_softmax(dim=1)


# --- as printed it cannot learn


def world() -> tuple[Tensor, Tensor, Tensor]:
    """p(y) of four symbols, e^f(x, y) for one x, and features of (y, y_1), of which r is made."""
    return draw(1, 4).softmax(0), draw(2, 4).exp(), draw(3, 4, 6)


def r_of(psi: Tensor, features: Tensor) -> Tensor:
    return torch.sigmoid(features @ psi)


def equation_17(psi: Tensor, k: int, *, normalised: bool) -> Tensor:
    """The objective as printed for one (x, y_1 = 0), the weights under the expectation over the
    draws, as they are functions of them."""
    p, e, features = world()
    r = r_of(psi, features)
    q = r * p / ((r * p).sum() if normalised else 1)
    total = p.new_zeros(())
    for draws in product(range(len(p)), repeat=k - 1):
        at = list(draws)
        h = e[0].log() - ((e[0] + e[at].sum()) / k).log()
        total = total + q[at].prod() * (1 / r[at]).prod() * h
    return total


def test_as_printed_the_objective_does_not_depend_on_what_is_learned() -> None:
    psi = draw(4, 6).requires_grad_()
    (gradient,) = torch.autograd.grad(equation_17(psi, 3, normalised=False), psi)
    assert gradient.abs().max() < 1e-14
    other = equation_17(draw(5, 6), 3, normalised=False)
    torch.testing.assert_close(equation_17(psi.detach(), 3, normalised=False), other)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_normalised_it_grows_without_end(k: int) -> None:
    """It is Z to the power 1 - K times what does not depend on r, so a smaller r is always better
    where that is positive, and always worse where it is not."""
    psi = draw(4, 6)
    p, _, features = world()
    z = (r_of(psi, features) * p).sum()
    torch.testing.assert_close(
        equation_17(psi, k, normalised=True),
        equation_17(psi, k, normalised=False) * z ** (1 - k),
    )
    size = equation_17(psi, k, normalised=True).abs()
    for _ in range(3):  # r of every symbol smaller and smaller
        shift = torch.linalg.lstsq(features, -2 * torch.ones(4, 1, dtype=torch.float64)).solution
        psi = psi + shift.squeeze(1)
        size, before = equation_17(psi, k, normalised=True).abs(), size
        assert size > 1.5 * before


@pytest.mark.parametrize("k", [2, 3])
def test_the_first_term_of_lemma_c1_lacks_the_gradient_of_r(k: int) -> None:
    """At given draws: with it the term is autograd's and that of finite differences, without not
    even of the size of psi. The other two terms are right."""
    p, e, features = world()
    psi = draw(4, 6).requires_grad_()
    f = e[0].log()

    def weighted(at: list[int], x: Tensor) -> Tensor:
        return f * (1 / r_of(x, features)[at]).prod()

    for draws in product(range(4), repeat=k - 1):
        at = list(draws)
        r = r_of(psi, features)[at]
        (exact,) = torch.autograd.grad(f * (1 / r).prod(), psi, retain_graph=True)
        of_r = [torch.autograd.grad(one, psi, retain_graph=True)[0] for one in r]
        inner = [1 / r[i] ** 2 * (1 / torch.cat([r[:i], r[i + 1 :]])).prod() for i in range(k - 1)]
        printed = -f * torch.stack(inner).sum()
        repaired = -f * sum(a * b for a, b in zip(inner, of_r, strict=True))
        torch.testing.assert_close(repaired, exact)
        differences = finite(partial(weighted, at), psi)
        torch.testing.assert_close(differences, exact, rtol=1e-6, atol=1e-8)
        assert printed.ndim == 0 and not torch.allclose(printed.expand(6), exact)

    def second(x: Tensor) -> Tensor:
        """E_q h with q = r p, of which the lemma's terms 2 and 3 are the gradient."""
        r, total = r_of(x, features), x.new_zeros(())
        for draws in product(range(4), repeat=k - 1):
            at = list(draws)
            h = (1 / r[at]).prod() * ((e[0] + e[at].sum()) / k).log()
            total = total + (r[at] * p[at]).prod() * h
        return total

    two, three = torch.zeros(6).double(), torch.zeros(6).double()
    r = r_of(psi, features)
    of_r = torch.stack([torch.autograd.grad(one, psi, retain_graph=True)[0] for one in r])
    for draws in product(range(4), repeat=k - 1):
        at = list(draws)
        q, log = (r[at] * p[at]).prod(), ((e[0] + e[at].sum()) / k).log()
        two += q * (1 / r[at]).prod() * log * (of_r[at] / r[at][:, None]).sum(0)
        for i, one in enumerate(at):
            rest = at[:i] + at[i + 1 :]
            three += -q * log / r[one] ** 2 * (1 / r[rest]).prod() * of_r[one]
    (exact,) = torch.autograd.grad(second(psi), psi)
    torch.testing.assert_close(two + three, exact, rtol=1e-9, atol=1e-12)


def finite(function: Any, at: Tensor, step: float = 1e-6) -> Tensor:
    at = at.detach()
    found = []
    for i in range(len(at)):
        e = torch.zeros_like(at)
        e[i] = step
        found.append((function(at + e) - function(at - e)) / (2 * step))
    return torch.stack(found)


# --- the repair


def expected(made: Acceptance, of: Pool, query: Tensor, function: Any) -> Tensor:
    """Sum over all draws of both queries of their probability times ``function(rows)``."""
    log_q = log_q_of_all(made, of)
    total = query.new_zeros(())
    others = [[j for j in range(N) if j != i] for i in INDEX.tolist()]
    first_sets, second_sets = (product(one, repeat=DRAWS) for one in others)
    for first, second in zip(first_sets, second_sets, strict=True):
        rows = torch.tensor([first, second])
        # the queries are drawn for apart, so each counts with its own probability
        q = log_q.gather(1, rows).sum(dim=1).exp()
        total = total + function(rows, q)
    return total


def losses(query: Tensor, of: Pool, rows: Tensor) -> Tensor:
    """InfoNCE of each query with its rows, its own row the positive."""
    unit = torch.nn.functional.normalize
    s = unit(query, dim=1) @ unit(of.table, dim=1).T / TEMPERATURE
    own = s.gather(1, of.index[:, None])
    return torch.logsumexp(torch.cat([own, s.gather(1, rows)], dim=1), dim=1) - own.squeeze(1)


@pytest.mark.parametrize("draws", ["harder", "easier"])
def test_the_gradient_is_that_of_the_expectation_over_all_draws(draws: str) -> None:
    made, of, query = acceptance(), pool(), draw(11, 2, DIM)

    def objective(g: Tensor) -> Tensor:
        with torch.no_grad():
            before = made.g.clone()
            made.g.copy_(g)
        value = expected(made, of, query, lambda rows, q: (q * losses(query, of, rows)).mean())
        with torch.no_grad():
            made.g.copy_(before)
        return value.detach()

    exact_loss = expected(made, of, query, lambda rows, q: (q * losses(query, of, rows)).mean())
    (exact,) = torch.autograd.grad(exact_loss, made.g)
    torch.testing.assert_close(finite(objective, made.g), exact, rtol=1e-6, atol=1e-9)
    estimated = torch.zeros_like(exact)
    log_q = log_q_of_all(made, of)
    zero = torch.zeros(2).double()

    def estimate(rows: Tensor, q: Tensor) -> Tensor:
        """The surrogate's gradient for each query on its own, weighted by its probability."""
        nonlocal estimated
        for i in range(2):
            proposal = Proposal(log_q.gather(1, rows)[i : i + 1], zero[:1], zero[:1])
            contrast = Contrast(of.table, rows[i : i + 1], of.table[INDEX][i : i + 1],
                                proposal=proposal)  # fmt: skip
            terms = vince_plus(query[i : i + 1], None, contrast, TEMPERATURE, draws=draws)
            torch.testing.assert_close(terms["loss"], losses(query, of, rows)[i])
            (own,) = torch.autograd.grad(terms["loss"], made.g, retain_graph=True)
            estimated += q[i].detach() * own / 2
        return q.new_zeros(())

    expected(made, of, query, estimate)
    sign = -1 if draws == "harder" else 1
    torch.testing.assert_close(estimated, sign * exact, rtol=1e-9, atol=1e-12)


def test_the_normaliser_and_its_gradient_are_exact() -> None:
    """Of the share that is accepted no N x M table is kept: its slope is taken on the way."""
    made, of = acceptance(), pool()
    rows, _, proposal = made(of)
    assert proposal is not None
    wanted = log_q_of_all(made, of).gather(1, rows)
    torch.testing.assert_close(proposal.log_q, wanted)
    given = torch.autograd.grad(proposal.log_q.sum(), made.g, retain_graph=True)
    torch.testing.assert_close(given, torch.autograd.grad(wanted.sum(), made.g))
    cosine = torch.nn.functional.cosine_similarity(of.at[:, None], of.table[None], dim=2)
    own = torch.arange(N) == of.index[:, None]
    z = made.log_acceptance(cosine).exp().masked_fill(own, 0).sum(1) / (N - 1)
    torch.testing.assert_close(proposal.rate, z.detach())
    cost = (z.log() - math.log(0.4)) ** 2
    torch.testing.assert_close(proposal.cost, cost)
    given = torch.autograd.grad(proposal.cost.sum(), made.g)
    torch.testing.assert_close(given, torch.autograd.grad(cost.sum(), made.g))


def test_the_acceptance_stays_between_its_least_value_and_one() -> None:
    made = acceptance()
    cosine = torch.linspace(-1, 1, 101).double()
    for scale in (1.0, 100.0, 1e6):
        with torch.no_grad():
            made.g.mul_(scale)
        r = made.log_acceptance(cosine).exp()
        assert (r >= 0.05 * (1 - 1e-12)).all() and (r <= 1 + 1e-12).all()
        chosen = made(pool())
        assert chosen.proposal is not None and chosen.proposal.log_q.isfinite().all()


def test_before_it_learns_draws_are_those_of_instance_discrimination() -> None:
    made = Acceptance(4000, rate=0.3).double()
    rows, _, proposal = made(pool())
    assert proposal is not None and rows is not None
    torch.testing.assert_close(proposal.rate, torch.full((2,), 0.3).double())
    torch.testing.assert_close(proposal.cost, torch.zeros(2).double())
    torch.testing.assert_close(proposal.log_q, torch.full_like(proposal.log_q, -math.log(N - 1)))
    for drawn, own in zip(rows, INDEX, strict=True):
        counts = drawn.bincount(minlength=N)
        assert counts[own] == 0 and counts.sum() == 4000
        assert (counts[counts > 0] - 1000).abs().max() < 150
    cold = acceptance(start=2)
    chosen = cold(pool(epoch=1))
    assert chosen.proposal is not None
    cost = chosen.proposal.cost.sum() + chosen.proposal.log_q.sum()
    assert torch.equal(torch.autograd.grad(cost, cold.g)[0], torch.zeros(4).double())
    assert cold(pool(epoch=2)).proposal.log_q.grad_fn is not None  # type: ignore[union-attr]


def test_where_everything_is_accepted_alike_it_is_info_nce_with_uniform_draws() -> None:
    of, query = pool(), draw(11, 2, DIM)
    rows, _, proposal = Acceptance(6, rate=0.3).double()(of)
    contrast = Contrast(of.table, rows, of.table[INDEX], proposal=proposal)
    assert torch.equal(rows, of.drawn(6, lambda s: (s > float("-inf")).double()).rows)
    terms = vince_plus(query, None, contrast, 0.3)
    plain = Contrast(of.table, rows, of.table[INDEX])
    wanted = info_nce_with_negatives(query, None, plain, 0.3)
    torch.testing.assert_close(terms["loss"], wanted)


@pytest.mark.parametrize("draws", ["harder", "easier"])
def test_what_is_learned_is_harder_or_easier_at_the_rate_that_was_asked_for(draws: str) -> None:
    table = draw(20, 200, 8)
    index = torch.arange(64)
    made = Acceptance(64, knots=9, rate=0.2).double()
    optimizer = torch.optim.Adam(made.parameters(), 0.01)
    query, first, value = table[index], 0.0, 0.0
    for step in range(120):
        of = Pool(table, query, index, torch.full((200,), -1), seed=step)
        rows, _, proposal = made(of)
        contrast = Contrast(table, rows, table[index], proposal=proposal)
        terms = vince_plus(query, None, contrast, 0.2, draws=draws)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        value = float(terms["contrast"])
        first = value if step == 0 else first
    r = made.log_acceptance(torch.tensor([-0.5, 0.5]).double()).exp()
    assert proposal is not None and 0.12 < float(proposal.rate.mean()) < 0.33
    if draws == "harder":
        assert value > first + 0.2 and r[1] > 3 * r[0]
    else:
        assert value < first - 0.2 and r[0] > 3 * r[1]


def test_it_is_declared_no_bound_and_with_easier_draws_exceeds_the_information() -> None:
    """X = Y a fair bit and negatives of the other symbol, which an acceptance can choose."""
    row = BOUNDS["vince-plus"]
    assert not row.lower_bound and not row.reported
    least, k, total = 0.05, 6, 0.0
    same = least / (least + 1)  # share of the draws that are y_1's own symbol
    for n in range(k):
        scores = torch.tensor([[8.0] * (1 + n) + [-8.0] * (k - 1 - n)], dtype=torch.float64)
        chance = math.comb(k - 1, n) * same**n * (1 - same) ** (k - 1 - n)
        total += chance * float(row.value(row.options(), scores))
    assert total > 2 * math.log(2)


@pytest.mark.parametrize("share", [1, 3])
def test_shares_of_a_batch_add_up_in_value_and_gradient(share: int) -> None:
    """So the mean over processes, weighted by their samples, is one process on all of them."""
    table, query = draw(30, 9, DIM), draw(31, 4, DIM)
    index = torch.tensor([2, 8, 0, 5])
    row = NEGATIVES["learned"]
    bank: Any = row.build(row.options(draws=6), Spec(Domain("images", (3, 8, 8)), n=9, dim=DIM))
    bank = bank.double()
    bank.fill(table)

    def of(rows: slice) -> list[Tensor]:
        own = query[rows].clone().requires_grad_()
        contrast = bank.propose(own, index[rows])
        loss = OBJECTIVES["vince-plus"]([own], [], negatives=contrast)["loss"]
        to_query, to_g = torch.autograd.grad(loss, [own, bank.choose.g])
        return [loss.detach(), to_query, to_g]

    whole, first, rest = of(slice(None)), of(slice(0, share)), of(slice(share, None))
    weights = share / 4, 1 - share / 4
    for k in (0, 2):
        torch.testing.assert_close(weights[0] * first[k] + weights[1] * rest[k], whole[k])
    joined = torch.cat([weights[0] * first[1], weights[1] * rest[1]])
    torch.testing.assert_close(joined, whole[1])


def test_state_is_restored_with_what_was_learned() -> None:
    row, spec = NEGATIVES["learned"], Spec(Domain("images", (3, 8, 8)), n=9, dim=DIM)
    bank: Any = row.build(row.options(draws=6), spec)
    with torch.no_grad():
        bank.choose.g.copy_(torch.randn(17, generator=stream()))
    other: Any = row.build(row.options(draws=6), spec)
    other.load_state_dict(bank.state_dict())
    query, index = torch.randn(3, DIM, generator=stream(1)), torch.tensor([1, 0, 8])
    first, again = bank.propose(query, index), other.propose(query, index)
    assert torch.equal(first.rows, again.rows)
    assert torch.equal(first.proposal.log_q, again.proposal.log_q)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"negatives": {"name": "learned"}, "objective": "info-nce"}, "objective=vince-plus"),
        ({"negatives": {"name": "ball"}, "objective": "vince-plus"}, "negatives=learned"),
    ],
)
def test_what_learns_needs_what_teaches(words: dict[str, Any], told: str) -> None:
    from viewfinder.recipes.check import check_parts

    with pytest.raises(UserError) as error:
        check_parts(build("instdis", {**words, "objective": {"name": words["objective"]}}))
    assert told in str(error.value.fix)


@pytest.mark.parametrize("wrong", [{"least": 0.0}, {"least": 0.5}, {"rate": 1.0}, {"knots": 1}])
def test_an_acceptance_that_could_vanish_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^{next(iter(wrong))} is"):
        Acceptance(5, **{"rate": 0.4, **wrong})


@pytest.mark.parametrize(
    "name", [row.name for row in OBJECTIVES.values() if "table" in row.negatives]
)
def test_a_loss_that_does_not_teach_refuses_a_proposal_that_learns(name: str) -> None:
    row, made = OBJECTIVES[name], acceptance()
    query, index = draw(4, N, 8).float(), torch.arange(N)
    contrast = Bank(N, 8, choose=made.float()).propose(query, index)
    state = None if row.state is None else row.state(row.options(), 8, (2,))
    clusters = None if "instance" in row.positives else index[:, None] % 2
    given = {"negatives": contrast, "index": index, "state": state, "cluster": clusters}
    if row.teaches:
        row([query], [query], **given)["loss"].backward()
        assert made.g.grad is not None
        assert made.g.grad.any()
        return
    with pytest.raises(UserError, match="which this loss does not teach"):
        row([query], [query], **given)
    made.requires_grad_(False)  # as it is, it may draw for any
    as_it_is = Bank(N, 8, choose=made).propose(query, index)
    assert row([query], [query], **{**given, "negatives": as_it_is})["loss"].isfinite()


def test_the_functions_refuse_a_proposal_that_learns() -> None:
    query, index = draw(4, N, 8).float(), torch.arange(N)
    contrast = Bank(N, 8, choose=acceptance().float()).propose(query, index)
    for loss in (info_nce_with_negatives, local_aggregation, NCE()):
        with pytest.raises(UserError, match="which this loss does not teach"):
            loss(query, query, contrast)
