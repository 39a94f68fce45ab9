"""RC, LBE, IP and MIB in a run: their numbers are those of the functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from viewfinder.core.errors import UserError
from viewfinder.data.batch import Batch
from viewfinder.data.domain import Spec
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import Recipe, build, complete, parse_overrides
from viewfinder.regularizers import (
    REGULARIZERS,
    EncoderPass,
    Regularizer,
    RegularizerOptions,
    Term,
    add_noise,
    lower_bound_estimate,
)
from viewfinder.runs.run import Run
from viewfinder.training.fit import fit, network
from viewfinder.training.module import Pretraining

WORDS = ["encoder.widths=[4,8]", "batch_size=16", "epochs=1", "logger=none", "accelerator=cpu"]


@pytest.fixture(scope="module")
def split() -> Split:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16))
    return Split("train", ArrayData(torch.from_numpy(images.astype(np.uint8))))


def recipe_of(*words: str, method: str = "simclr") -> Recipe:
    recipe = build(method, parse_overrides([*WORDS, *words]))
    check_parts(recipe)
    return complete(recipe, (3, 16, 16))


def step(module: Pretraining, split: Split, number: int = 0) -> dict:
    index = np.arange(16)
    batch = Batch(split.data.read(index), torch.from_numpy(index))
    views = Pretraining.views
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pretraining, "views", lambda *a: [v.double() for v in views(*a)])
        return module.double().training_step(batch, number)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pretraining, "log", lambda *args, **more: None)


def parts_of_a_step(recipe: Recipe, split: Split) -> tuple[Pretraining, list, list]:
    """The module, the views of step 0 and their features, with batch norm as in training."""
    module = network(recipe, split).double()
    batch = Batch(split.data.read(np.arange(16)), torch.arange(16))
    views = [view.double() for view in module.views(batch, 0)]
    return module, views, [module.encoder(view) for view in views]


def test_terms_are_those_of_the_functions_and_add_up(split: Split) -> None:
    words = [f"regularizers.{word}" for word in ("rc=2", "lbe=0.5", "ip=3", "mib=5")]
    recipe = recipe_of(*words, "regularizers.noise=0")
    module, views, features = parts_of_a_step(recipe, split)
    found = step(module, split)
    terms = found["terms"]
    decoder = module.regularization.terms["rc"].decoder
    # a squared error over all numbers of each view, the two views added
    rc = sum(((decoder(x) - v) ** 2).mean() for x, v in zip(features, views, strict=True))
    torch.testing.assert_close(terms["rc"], rc.detach())
    joined = torch.cat(features)
    rho = 25.6 / 8  # 8 features
    torch.testing.assert_close(terms["lbe"], lower_bound_estimate(joined, joined, rho).detach())
    squares = (features[0] - features[1]).square().mean().detach()
    torch.testing.assert_close(terms["ip"], squares)
    torch.testing.assert_close(terms["mib"], squares)  # of the means, whatever the noise
    total = terms["objective"] + 2 * terms["rc"] - 0.5 * terms["lbe"]
    total = total + 3 * terms["ip"] + 5 * terms["mib"]
    torch.testing.assert_close(found["loss"].detach(), total)


def test_a_weight_of_0_or_null_leaves_no_trace(split: Split) -> None:
    plain = network(recipe_of(), split)
    for words in (["regularizers.rc=0"], ["regularizers.rc=null"]):
        module = network(recipe_of(*words), split)
        assert module.state_dict().keys() == plain.state_dict().keys()
        assert step(module, split)["loss"] == step(plain, split)["loss"]


def test_noise_is_seen_by_the_head_alone_and_only_in_training(split: Split) -> None:
    noisy, plain = (
        network(recipe_of(f"regularizers.noise={sigma}"), split).double() for sigma in (0.5, 0)
    )
    assert step(noisy, split)["loss"] != step(plain, split)["loss"]
    assert step(noisy, split, 1)["loss"] != step(noisy, split, 0)["loss"]
    assert step(noisy, split)["loss"] == step(noisy, split)["loss"]
    images = torch.rand(4, 3, 16, 16, dtype=torch.float64)
    assert torch.equal(noisy.encoder.eval()(images), noisy.encoder(images))


def test_lbe_and_mib_bring_their_noise() -> None:
    assert recipe_of("regularizers.lbe=1").regularizers.sigma == 0.1
    assert recipe_of("regularizers.mib=1").regularizers.sigma == 0.1
    assert recipe_of("regularizers.rc=1").regularizers.sigma == 0
    assert recipe_of("regularizers.lbe=1", "regularizers.noise=0.3").regularizers.sigma == 0.3


def test_estimates_of_stages_are_weighted_and_views_added(split: Split) -> None:
    words = ["lbe=1", "lbe.stages={stage1: 0.5, stage2: 2.0}", "lbe.rho=0.05", "noise=0"]
    for how in ("joined", "each"):
        own = recipe_of(*(f"regularizers.{word}" for word in (*words, f"lbe.views={how}")))
        module, views, _ = parts_of_a_step(own, split)
        first = [module.encoder.stage1(v) for v in views]
        maps = [(x, module.encoder.stage2(x)) for x in first]
        wanted = torch.zeros(())
        for stage, weight in ((0, 0.5), (1, 2.0)):
            means = [m[stage].mean(dim=(2, 3)).detach() for m in maps]
            together = [torch.cat(means)] if how == "joined" else means
            wanted = wanted + weight * sum(lower_bound_estimate(m, m, 0.05) for m in together)
        torch.testing.assert_close(step(module, split)["terms"]["lbe"], wanted)


def test_a_stage_that_is_the_features_has_the_noise_that_the_head_sees(split: Split) -> None:
    """The released code feeds one noisy h4 to head and bound."""
    found = []
    for stages in ([], ["regularizers.lbe.stages={stage2: 1.0}"]):
        module = network(recipe_of("regularizers.lbe=0.5", *stages), split)
        found.append(step(module, split))
    assert found[0]["loss"] == found[1]["loss"]
    # and a stage that is another tensor has a draw of its own
    module = network(
        recipe_of("regularizers.lbe=1", "regularizers.lbe.stages={stage1: 1, stage2: 1}"), split
    ).double()
    assert module.regularization.output_stages == {"stage2"}
    features = list(torch.rand(2, 16, 8, dtype=torch.float64))
    inner = list(torch.rand(2, 16, 4, dtype=torch.float64))
    noisy = module.regularization.noisy(features, torch.Generator().manual_seed(0))
    seen = EncoderPass(
        features=features,
        noisy=noisy,
        stages={"stage1": inner, "stage2": features},
        generator=torch.Generator().manual_seed(1),
    )
    generator = torch.Generator().manual_seed(1)
    own = torch.cat([add_noise(x, 0.1, generator) for x in inner])
    wanted = lower_bound_estimate(torch.cat(inner), own, 25.6 / 8)
    wanted = wanted + lower_bound_estimate(torch.cat(features), torch.cat(noisy), 25.6 / 8)
    torch.testing.assert_close(module.regularization(seen)["lbe"], wanted)


def test_a_weight_of_a_view_is_of_the_view_with_its_number(split: Split) -> None:
    """lambda_1 and lambda_2 of equation 9, through a whole step."""
    module, views, features = parts_of_a_step(recipe_of("regularizers.rc=[2,0.5]"), split)
    decoder = module.regularization.terms["rc"].decoder
    each = [((decoder(x) - v) ** 2).mean() for x, v in zip(features, views, strict=True)]
    found = step(module, split)
    added = found["loss"].detach() - found["terms"]["objective"]
    torch.testing.assert_close(added, (2 * each[0] + 0.5 * each[1]).detach())


def test_a_one_way_method_takes_one_weight_or_a_second_of_0(split: Split) -> None:
    terms = [
        step(network(recipe_of(f"regularizers.rc={weight}", method="moco"), split), split)["terms"]
        for weight in ("1", "[1,0]")
    ]
    assert terms[0]["rc"] == terms[1]["rc"]


class SizeOptions(RegularizerOptions):
    most: float = 100.0


class Size(Term):
    """A term of somebody else's: the squared length of the features, up to a bound."""

    def __init__(self, options: SizeOptions, spec: Spec) -> None:
        super().__init__()
        self.most = options.most * spec.feature_dim

    def forward(self, seen: EncoderPass) -> torch.Tensor:
        lengths = [x.square().sum(dim=1).clamp(max=self.most) for x in seen.features]
        return torch.stack(lengths).mean(dim=1)


def test_a_row_that_is_added_can_be_used(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Regularizer(
        name="size",
        summary="short features",
        formula="mean_i || f(v_i) ||^2",
        options=SizeOptions,
        build=Size,
        needs=("features",),
        across_ranks="nothing",
    )
    with pytest.raises(UserError, match=r"unknown key regularizers\.size"):
        recipe_of("regularizers.size=0.1")
    monkeypatch.setattr(REGULARIZERS, "_rows", {**REGULARIZERS, "size": row})
    recipe = recipe_of("regularizers.size=[0.1,0.2]", "regularizers.size.most=9")
    assert str(recipe.regularizers) == "size [0.1,0.2] (most 9.0)"
    module, _, features = parts_of_a_step(recipe, split)
    lengths = [x.square().sum(dim=1).clamp(max=72).mean() for x in features]
    found = step(module, split)
    added = found["loss"].detach() - found["terms"]["objective"]
    torch.testing.assert_close(added, (0.1 * lengths[0] + 0.2 * lengths[1]).detach())


def test_rho_follows_the_width_of_the_features_in_all_stages(split: Split) -> None:
    stages = "regularizers.lbe.stages={stage1: 1.0}"  # of 4 channels, before the 8 features
    found = [
        step(network(recipe_of("regularizers.lbe=1", stages, *rho), split), split)["terms"]["lbe"]
        for rho in ([], ["regularizers.lbe.rho=3.2"], ["regularizers.lbe.rho=6.4"])
    ]
    assert found[0] == found[1] != found[2]


def test_bernoulli_reconstructs_the_view_before_it_was_normalised(split: Split) -> None:
    recipe = recipe_of("regularizers.rc=1", "regularizers.rc.likelihood=bernoulli")
    module, views, features = parts_of_a_step(recipe, split)
    shown = [(v * 0.5 + 0.5).clamp(0, 1) for v in views]
    decoder, loss = module.regularization.terms["rc"].decoder, nn.BCEWithLogitsLoss()
    wanted = sum(loss(decoder(x), v) for x, v in zip(features, shown, strict=True))
    torch.testing.assert_close(step(module, split)["terms"]["rc"], wanted.detach())


def test_reconstruction_is_learned_and_each_term_is_logged(split: Split, tmp_path: Path) -> None:
    words = ["regularizers.rc=1", "epochs=6", "optimizer.lr=0.05", "views.preset=none"]
    run = Run(tmp_path)
    fit(recipe_of(*words), split, run, Console(quiet=True), "")
    rows = [line.split(",") for line in run.metrics_file.read_text().splitlines()]
    column = rows[0].index("rc")
    assert {"loss", "objective"} <= set(rows[0])
    assert float(rows[-1][column]) < 0.9 * float(rows[1][column])


@pytest.mark.parametrize(
    ("method", "words", "says"),
    [
        ("simclr", ["regularizers.rc=-1"], "regularizers.rc.weight is -1"),
        ("simclr", ["regularizers.rc.likelyhood=laplace"], "regularizers.rc.likelihood"),
        ("simclr", ["regularizers.rcc=1"], "regularizers.rc"),
        ("moco", ["regularizers.ip=1"], "objective.pairs=symmetric"),
        ("cross-entropy", ["views.count=1", "regularizers.mib=1"], "regularizers.mib=0"),
        ("carl", ["objective.prototypes=1"], "objective.prototypes is 1"),
        ("carl", ["objective.decay_epochs=0"], "objective.decay_epochs is 0"),
        ("carl", ["objective.weight=-1"], "objective.weight is -1"),
        ("simclr", ["views.small_count=2"], "small_count=0"),
        ("pcl", ["positives=attributes"], "positives=kmeans"),
        ("simclr", ["objective=supcon", "positives.sampler=clusters"], "positives.sampler"),
        ("info", [], "unknown method"),
        ("moco", ["regularizers.rc=[1,0.5]"], "sees the first alone.*objective.pairs=symmetric"),
        ("cross-entropy", ["regularizers.rc=[0,0.5]"], "regularizers.rc=0.5, or views.count=2"),
        ("simclr", ["regularizers.lbe=[1,0.5]"], "regularizers.lbe.views=each"),
        ("simclr", ["regularizers.ip=[1,0.5]"], "regularizers.ip.weight is"),
    ],
)
def test_nonsense_is_refused(method: str, words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_parts(build(method, parse_overrides(words)))


def test_a_stage_that_is_not_there_is_named_with_those_that_are(split: Split) -> None:
    says = r"no stage 'layer4'. It has: stage1, stage2. Try: .*{stage"
    with pytest.raises(UserError, match=says):
        network(recipe_of("regularizers.lbe=1", "regularizers.lbe.stages={layer4: 1}"), split)
