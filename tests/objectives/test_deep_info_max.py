"""Deep InfoMax: values of the released code, other files' bounds, and the papers' readings."""

from __future__ import annotations

import math

import pytest
import torch
from golden.cases import Case, assert_golden, golden_cases

from viewfinder.core.errors import UserError
from viewfinder.information.bounds import donsker_varadhan, jensen_shannon
from viewfinder.objectives import DeepInfoMax, deep_info_max, info_nce, log_partition


@pytest.fixture(params=["one block", "many blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many blocks":
        monkeypatch.setitem(log_partition.BLOCK, "cpu", 20)


def form_of(case: Case) -> str:
    variant = case.params["variant"]
    return {"nce": "info-nce", "dv": "dv"}.get(variant) or case.params["measure"].lower()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("case", golden_cases("dim_local"))
def test_golden_dim_local(case: Case) -> None:
    """Of the released code each image's own places stay among its negatives, at a score of -10."""
    form = form_of(case)

    def loss(x, own=None):
        return deep_info_max(x["m"].mT, x["l"].mT, form, own=own)

    assert_golden(case, lambda x: loss(x, -10.0 if form == "info-nce" else None))
    if "exact_mask" in case.alternatives:
        exact = loss({name: case.input(name) for name in "lm"}).item()
        assert exact == pytest.approx(case.array("alt/exact_mask/loss").item(), rel=1e-9)


def drawn(samples: int, places: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(samples, 5, generator=generator, dtype=torch.float64)
    return query, torch.randn(samples, places, 5, generator=generator, dtype=torch.float64)


def test_of_one_place_it_is_the_bounds_of_the_critic_q_times_l() -> None:
    query, places = drawn(7, 1)
    scores = query @ places[:, 0].T / 0.5
    for form, bound, constant in (
        ("jsd", jensen_shannon, -2 * math.log(2)),
        ("dv", donsker_varadhan, 0.0),
    ):
        loss = deep_info_max(query, places, form, temperature=0.5)
        torch.testing.assert_close(loss, constant - bound(scores), rtol=1e-12, atol=1e-12)
    for similarity in ("dot", "cosine"):
        found = deep_info_max(query, places, "info-nce", temperature=0.5, similarity=similarity)
        wanted = info_nce(query, places[:, 0], 0.5, similarity=similarity)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_the_local_bound_of_vince_is_the_mean_over_places() -> None:
    """VINCE's LDIM contrasts place m with place m of others, Deep InfoMax with all of theirs: where
    all places of an image are alike they differ by the L-fold number of negatives alone."""
    query, places = drawn(6, 1)
    several = deep_info_max(query, places.expand(-1, 4, -1), "info-nce")
    alone = query @ places[:, 0].T
    negatives = alone.masked_fill(torch.eye(6, dtype=torch.bool), -torch.inf).logsumexp(1)
    wanted = torch.nn.functional.softplus(negatives + math.log(4) - alone.diagonal()).mean()
    torch.testing.assert_close(several, wanted, rtol=1e-12, atol=1e-12)
    for form in ("jsd", "dv"):
        found = deep_info_max(query, places.expand(-1, 4, -1), form)
        torch.testing.assert_close(found, deep_info_max(query, places, form))


def test_no_place_of_an_image_is_its_own_negative() -> None:
    """Images whose places are all alike but differ from others: the negatives cost nothing."""
    query = 40 * torch.eye(3, dtype=torch.float64)
    places = query[:, None].expand(3, 4, 3) / 40
    assert deep_info_max(query, places - 1 / 2, "info-nce").item() == pytest.approx(0, abs=1e-12)


def test_a_temperature_is_learned() -> None:
    loss = DeepInfoMax("info-nce", temperature=torch.nn.Parameter(torch.tensor(0.5)))
    query, places = drawn(4, 3)
    loss(query.float(), places.float()).backward()
    step = 1e-6
    values = [deep_info_max(query, places, "info-nce", temperature=0.5 + s) for s in (step, -step)]
    wanted = (values[0] - values[1]) / (2 * step)
    (temperature,) = loss.parameters()
    assert temperature.grad.item() == pytest.approx(wanted.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("query", "places", "says"),
    [
        ((4, 5), (4, 5), r"places \(N, L, D\), not \(4, 5\) and \(4, 5\)"),
        ((4, 5), (4, 0, 5), r"places \(N, L, D\)"),
        ((4, 5), (3, 2, 5), "not of the same images"),
        ((4, 5), (4, 2, 6), "not of the same images and width"),
        ((1, 5), (1, 2, 5), "at least two samples"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(query, places, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        deep_info_max(torch.zeros(query), torch.zeros(places))
    with pytest.raises(ValueError, match=r"at least two|compares vectors \(N, D\)|same samples"):
        DeepInfoMax()(torch.zeros(query), torch.zeros(places))


def test_a_form_that_overflows_is_none_of_the_objectives() -> None:
    with pytest.raises(UserError, match="form is 'jds'"):
        deep_info_max(*drawn(3, 2), form="jds")
    with pytest.raises(ValueError, match="'jsd', 'dv' or 'info-nce'"):
        DeepInfoMax("kl")
