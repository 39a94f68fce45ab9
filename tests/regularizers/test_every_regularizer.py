"""The rules that every row of the table keeps, with every choice of options: see situation.py."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from situation import DIM, SHAPE, SITUATIONS, SPEC, Situation, leaves, random_pass
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.recipes.recipe import build, parse_overrides
from viewfinder.regularizers import IP, LBE, RC, REGULARIZERS, Regularization

every_situation = pytest.mark.parametrize("situation", SITUATIONS, ids=str)
every_row = pytest.mark.parametrize("name", list(REGULARIZERS))


def regularization(situation: Situation, **options: object) -> Regularization:
    """What a recipe of this regularizer alone adds, in evaluation mode, without noise."""
    chosen = situation.row.options(**{**dict(situation.options), **options})
    encoder = nn.Sequential()
    for name in situation.row.stages(chosen):
        encoder.add_module(name, nn.Flatten())
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = Regularization({situation.row.name: chosen}, 0.0, SPEC, encoder)
    made.output_stages = set()  # of the stages' own outputs
    return made.double().eval()


@every_situation
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_precision_in_is_precision_out(situation: Situation, dtype: torch.dtype) -> None:
    seen = random_pass(situation, 5, dtype)
    value = situation.value(seen)
    value.sum().backward()
    assert value.dtype == dtype
    assert all(x.grad.dtype == dtype for x in leaves(seen) if x.grad is not None)


@every_situation
def test_half_precision_is_summed_in_float32(situation: Situation) -> None:
    seen = random_pass(situation, 5, torch.float32)
    half = seen.each(lambda own: [x.bfloat16() for x in own])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = situation.value(half, situation.term(torch.float32))
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, situation.value(seen), rtol=0.03, atol=0.05)


@every_situation
def test_there_is_a_term_per_view_or_one(situation: Situation) -> None:
    value = situation.value(random_pass(situation, 5))
    assert value.shape == (() if situation.one_term else (situation.views,))


@every_situation
@pytest.mark.parametrize("where", ["zero", "equal", "far apart"])
def test_finite_in_float32(situation: Situation, where: str) -> None:
    seen = random_pass(situation, 5, torch.float32)
    with torch.no_grad():
        for x in leaves(seen):
            if where == "far apart":
                x.mul_(1e6)
            else:
                x.fill_(0 if where == "zero" else 0.5)
    value = situation.value(seen)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert all(torch.isfinite(x.grad).all() for x in leaves(seen) if x.grad is not None)


@every_situation
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_gradcheck(situation: Situation, samples: int) -> None:
    seen = random_pass(situation, samples).only(situation.row.needs)
    term = situation.term()

    def value(*tensors: Tensor) -> Tensor:
        given = iter(tensors)
        return situation.value(
            seen.each(lambda own: [next(given) if x.requires_grad else x for x in own]), term
        )

    torch.autograd.gradcheck(value, leaves(seen))


@every_situation
def test_a_batch_of_two_teaches_in_training(situation: Situation) -> None:
    seen = random_pass(situation, 2)
    value = situation.value(seen, situation.term().train())
    value.sum().backward()
    learned = [x.grad for x in leaves(seen) if x.grad is not None]
    assert torch.isfinite(value).all()
    assert learned
    assert all(torch.isfinite(gradient).all() for gradient in learned)
    assert max(gradient.abs().max() for gradient in learned) > 0


@every_situation
def test_order_of_samples_does_not_matter(situation: Situation) -> None:
    seen, order = random_pass(situation, 5), torch.tensor([3, 0, 4, 2, 1])
    shuffled = seen.each(lambda own: [x[order] for x in own])
    torch.testing.assert_close(situation.value(shuffled), situation.value(seen))


@every_situation
def test_what_it_declares_is_what_it_takes(situation: Situation) -> None:
    """What it needs is enough, and each part of that is missed."""
    row, seen = situation.row, random_pass(situation, 5)
    wanted = situation.value(seen)
    assert torch.equal(situation.term()(seen.only(row.needs)), wanted)
    assert bool(list(situation.term().parameters())) == row.parameters
    for need in set(row.needs) - {"stages"}:
        with pytest.raises(ValueError, match=f"{row.name} needs {need}"):
            situation.value(replace(seen, **{need: ()}), situation.term())


@every_situation
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_loss_gets_sign_times_weight_times_term(situation: Situation, weight: float) -> None:
    seen = random_pass(situation, 5)
    terms = regularization(situation, weight=weight)(seen)
    plain = situation.value(replace(seen, noisy_stages=seen.stages)).sum()
    torch.testing.assert_close(terms[situation.row.name], plain)
    torch.testing.assert_close(terms["total"], situation.row.sign * weight * plain)


@every_situation
def test_a_weight_per_view(situation: Situation) -> None:
    """lambda_1 for the 1st and 3rd view, lambda_2 for the 2nd; 0 leaves a view out."""
    if situation.one_term:
        with pytest.raises(ValueError, match="weight"):
            situation.row.options(**situation.chosen, weight=(1, 0.5))
        return
    seen = replace(random_pass(situation, 5), noisy_stages={})
    each = situation.value(replace(seen, noisy_stages=seen.stages))
    terms = regularization(situation, weight=(2.0, 0.5))(seen)
    total = sum((2.0, 0.5)[i % 2] * term for i, term in enumerate(each))
    torch.testing.assert_close(terms["total"], situation.row.sign * total)
    torch.testing.assert_close(terms[situation.row.name], each.sum())
    second = regularization(situation, weight=(0.0, 3.0))(seen)
    torch.testing.assert_close(second[situation.row.name], each[1])
    torch.testing.assert_close(second["total"], situation.row.sign * 3 * each[1])
    second["total"].backward()
    assert seen.features[0].grad is None


@every_situation
def test_state_and_module_survive_saving(situation: Situation) -> None:
    seen, first = random_pass(situation, 5), regularization(situation)
    wanted = first(seen)["total"]
    with torch.no_grad():
        for own in (other := regularization(situation)).parameters():
            own.fill_(0.1)
    if situation.row.parameters:
        assert other(seen)["total"] != wanted
    other.load_state_dict(first.state_dict())
    for again in (other, copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        assert torch.equal(again(seen)["total"], wanted)


@every_situation
def test_what_does_not_fit_together_is_refused(situation: Situation) -> None:
    row, term = situation.row, situation.term()
    seen = random_pass(situation, 5).only(row.needs)
    if len(row.needs) > 1:
        other = replace(seen, features=[x[:4] for x in seen.features])
        with pytest.raises(ValueError, match=r"views of \d samples"):
            row(term, other)
        with pytest.raises(ValueError, match=r"views of \d samples"):
            row(term, replace(seen, features=seen.features[:1]))
    uneven = [seen.features[0][:4], *seen.features[1:]]
    with pytest.raises(ValueError, match=r"views of \d samples"):
        row(term, replace(seen, features=uneven))
    with pytest.raises(ValueError, match="at least one sample"):
        row(term, random_pass(situation, 0))
    if row.views[0] > 1 or row.views[1] is not None:
        for views in (row.views[0] - 1, (row.views[1] or row.views[0]) + 1):
            with pytest.raises(ValueError, match=f"{row.name} .*views|needs features"):
                row(term, random_pass(situation, 5, views=views))


@every_row
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("=-1", r"regularizers.{name}.weight is -1"),
        ("=.inf", r"regularizers.{name}.weight is inf"),
        ("=much", r"regularizers.{name}.weight is 'much'"),
        ("=[1,2,3]", r"regularizers.{name}.weight"),
        ("=[1,-1]", r"regularizers.{name}.weight"),
        (".wieght=1", r"regularizers.{name}.wieght. Did you mean regularizers.{name}.weight"),
    ],
)
def test_bad_options_are_named(name: str, words: str, says: str) -> None:
    with pytest.raises(UserError, match=says.format(name=name)):
        build("simclr", parse_overrides([f"regularizers.{name}{words}"]))


@every_row
def test_a_recipe_says_it_and_reads_it_back(name: str, tmp_path) -> None:
    for words in ([f"regularizers={name}"], [f"regularizers.{name}=0.5"]):
        recipe = build("simclr", parse_overrides(words))
        file = tmp_path / "recipe.yaml"
        file.write_text(recipe.to_yaml())
        assert build(None, {}, file).to_yaml() == recipe.to_yaml()
        assert list(recipe.regularizers.chosen) == [name]
        assert type(recipe.regularizers.chosen[name]) is REGULARIZERS[name].options
    for nothing in (["regularizers=none"], [f"regularizers.{name}=null"], []):
        assert not build("simclr", parse_overrides(nothing)).regularizers.chosen
    near = f"{name}x"
    with pytest.raises(UserError, match=f"regularizers.{near}. Did you mean regularizers.{name}"):
        build("simclr", {"regularizers": near})


@every_row
def test_views_of_another_modality_are_refused_by_name(name: str) -> None:
    row = REGULARIZERS[name]
    spec = replace(SPEC, domain=Domain("points", (2,)))
    if row.modality is None:
        Regularization({name: row.options()}, 0.0, spec, nn.Identity())
        return
    with pytest.raises(UserError, match=rf"regularizers.{name}=0"):
        Regularization({name: row.options()}, 0.0, spec, nn.Identity())


@pytest.mark.parametrize(
    "wrong",
    [{"needs": ()}, {"needs": ("feature",)}, {"across_ranks": "kyes"}, {"sign": 0}],
    ids=str,
)
def test_a_row_that_declares_nonsense_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=f"ip: {next(iter(wrong))} is "):
        replace(REGULARIZERS["ip"], **wrong)


def test_the_modules_are_their_rows() -> None:
    situation = Situation(REGULARIZERS["rc"], {"width": 1.0})  # the module's
    seen = random_pass(situation, 5, views=2)
    first, second = seen.features
    rc = RC(DIM, *SHAPE[:2]).double().eval()
    rc.term.load_state_dict(situation.term().state_dict())
    torch.testing.assert_close(rc(seen.features, seen.views), situation.value(seen).sum())
    lbe = Situation(REGULARIZERS["lbe"]).value(seen)
    torch.testing.assert_close(LBE(DIM)(seen.features, seen.noisy), lbe)
    for elements in ("sum", "mean"):
        ip = Situation(REGULARIZERS["ip"], {"elements": elements}).value(seen)
        torch.testing.assert_close(IP(elements=elements)(first, second), ip)
    for module in (rc, LBE(DIM), IP()):
        pickle.loads(pickle.dumps(module))


@every_situation
def test_widths_devices_and_lists_are_looked_at(situation: Situation) -> None:
    row, term = situation.row, situation.term()
    seen = random_pass(situation, 5).only(row.needs)
    whole = replace(seen, features=torch.stack(list(seen.features)))
    with pytest.raises(ValueError, match=rf"what {row.name} takes must be a list"):
        row(term, whole)
    meta = replace(seen, features=[x.to("meta") for x in seen.features])
    if len(row.needs) > 1:
        with pytest.raises(ValueError, match=r"one device is expected"):
            row(term, meta)
    uneven = [seen.features[0][:, :4], *seen.features[1:]]
    if len(uneven) > 1:
        with pytest.raises(ValueError, match=rf"{row.name} takes views that are alike"):
            row(term, replace(seen, features=uneven))
    if "noisy" in row.needs:
        narrow = [x[:, :4] for x in seen.noisy]
        with pytest.raises(ValueError, match=r"noise of the width of those without, not \(5, 4\)"):
            row(term, replace(seen, noisy=narrow))
        narrow = [x[:, :2] for x in seen.noisy_stages["inner"]]
        with pytest.raises(ValueError, match="noise of the width of those without"):
            row(term, replace(seen, noisy_stages={"inner": narrow}))


@every_situation
@pytest.mark.parametrize("width", [DIM - 1, DIM + 1])
def test_features_of_another_width_than_it_was_built_for_are_refused(
    situation: Situation, width: int
) -> None:
    seen = random_pass(situation, 5).only(situation.row.needs)
    seen = replace(
        seen,
        features=[torch.ones(5, width, dtype=torch.float64) for _ in seen.features],
        noisy=[torch.ones(5, width, dtype=torch.float64) for _ in seen.noisy],
    )
    if situation.row.parameters or situation.row.name == "lbe":
        with pytest.raises(ValueError, match=f"made for features of width {DIM}, not {width}"):
            situation.value(seen, situation.term())
    else:
        assert situation.value(seen, situation.term()).isfinite()


@pytest.mark.parametrize("made", [torch.zeros(2, 3), torch.zeros(7), torch.tensor(1), None, 0.5])
def test_a_term_that_is_none_is_named(made: object) -> None:
    situation = Situation(REGULARIZERS["ip"])

    class Wrong(nn.Module):
        def forward(self, seen: object) -> object:
            return made

    with pytest.raises(UserError, match=r"regularizers.ip gives .*one scalar, is expected"):
        situation.value(random_pass(situation, 5), Wrong())


@every_row
def test_options_of_another_regularizer_are_refused(name: str) -> None:
    row = REGULARIZERS[name]
    other = next(o for o in REGULARIZERS.values() if o.options is not row.options)
    with pytest.raises(UserError, match=f"regularizers.{name} is given {other.options.__name__}"):
        Regularization({name: other.options()}, 0.0, SPEC, nn.Identity())


@pytest.mark.parametrize("low_high", [(-0.1, 1.0), (0.0, 1.1), (-2.1, 2.6)])
def test_the_bernoulli_form_is_of_views_between_0_and_1(low_high: tuple[float, float]) -> None:
    features, view = [torch.randn(4, DIM)], torch.rand(4, *SHAPE)
    rc = RC(DIM, *SHAPE[:2], likelihood="bernoulli")
    assert rc(features, [view]).isfinite()
    low, high = low_high
    with pytest.raises(ValueError, match=r"views in \[0, 1\].*before they were normalised"):
        rc(features, [view.clone().copy_(torch.linspace(low, high, view.numel()).view_as(view))])
