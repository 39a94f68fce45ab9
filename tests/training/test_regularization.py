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
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.networks.decoder import Decoder
from viewfinder.networks.stages import captured, check_stages
from viewfinder.objectives import lower_bound_estimate
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import Recipe, build, complete, parse_overrides
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
    decoder = module.regularization.decoder
    assert decoder is not None
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
    stages = "regularizers.lbe.stages={stage1: 0.5, stage2: 2.0}"
    rho = "regularizers.lbe.rho=0.05"
    recipe = recipe_of("regularizers.lbe=1", stages, rho, "regularizers.noise=0")
    for how in ("joined", "each"):
        lbe = recipe.regularizers.lbe
        assert lbe is not None
        chosen = recipe.regularizers.model_copy(
            update={"lbe": lbe.model_copy(update={"views": how})}
        )
        own = recipe.model_copy(update={"regularizers": chosen})
        module, views, _ = parts_of_a_step(own, split)
        first = [module.encoder.stage1(v) for v in views]
        maps = [(x, module.encoder.stage2(x)) for x in first]
        wanted = torch.zeros(())
        for stage, weight in ((0, 0.5), (1, 2.0)):
            means = [m[stage].mean(dim=(2, 3)).detach() for m in maps]
            together = [torch.cat(means)] if how == "joined" else means
            wanted = wanted + weight * sum(lower_bound_estimate(m, m, 0.05) for m in together)
        torch.testing.assert_close(step(module, split)["terms"]["lbe"], wanted)


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
    decoder, loss = module.regularization.decoder, nn.BCEWithLogitsLoss()
    assert decoder is not None
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


@pytest.mark.parametrize("size", [4, 17, 28, 32, 48, 64, 96, 224])
def test_a_decoder_makes_views_of_any_size(size: int) -> None:
    with torch.no_grad():
        assert Decoder(8, 1, size)(torch.zeros(2, 8)).shape == (2, 1, size, size)


@pytest.mark.parametrize(
    ("size", "dim", "first"),
    [(32, 512, 1024), (64, 512, 2048), (224, 2048, 3136)],
)
def test_decoders_have_the_sizes_of_the_released_ones(size: int, dim: int, first: int) -> None:
    decoder = Decoder(dim, 3, size)
    assert decoder.start[0].out_features == first
    last = decoder.body[-1]
    assert last.out_channels == 3
    assert last.bias is not None
    convolutions = [m for m in decoder.body if isinstance(m, nn.ConvTranspose2d)]
    strides = {32: [2, 2, 2, 1], 64: [2, 2, 2, 2, 1], 224: [2, 2, 2, 2, 2]}
    assert [c.stride[0] for c in convolutions] == strides[size]


@pytest.mark.parametrize(
    ("method", "words", "says"),
    [
        ("simclr", ["regularizers.rc=-1"], "regularizers.rc.weight is -1"),
        ("simclr", ["regularizers.rc.likelyhood=laplace"], "regularizers.rc.likelihood"),
        ("simclr", ["regularizers.rcc=1"], "regularizers.rc"),
        ("moco", ["regularizers.ip=1"], "objective.pairs=symmetric"),
        ("supcon", ["views.count=1", "regularizers.mib=1"], "regularizers.mib=0"),
        ("carl", ["objective.prototypes=1"], "objective.prototypes is 1"),
        ("carl", ["objective.decay_epochs=0"], "objective.decay_epochs is 0"),
        ("carl", ["objective.weight=-1"], "objective.weight is -1"),
        ("simclr", ["views.small_count=2"], "small_count=0"),
        ("pcl", ["positives=attributes"], "positives=kmeans"),
        ("simclr", ["objective=supcon", "positives.sampler=clusters"], "positives.sampler"),
        ("info", [], "unknown method"),
    ],
)
def test_nonsense_is_refused(method: str, words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_parts(build(method, parse_overrides(words)))


def test_a_stage_that_is_not_there_is_named_with_those_that_are(split: Split) -> None:
    says = r"no stage 'layer4'. It has: stage1, stage2. Try: .*{stage"
    with pytest.raises(UserError, match=says):
        network(recipe_of("regularizers.lbe=1", "regularizers.lbe.stages={layer4: 1}"), split)


def test_maps_are_averaged_and_tokens_too() -> None:
    class Tokens(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(2).transpose(1, 2)

    encoder = nn.Sequential(nn.Identity(), Tokens(), nn.Flatten())
    check_stages(encoder, ["0", "1", "2"], torch.zeros(2, 4, 2, 2))
    x = torch.arange(16.0).view(1, 4, 2, 2)
    with captured(encoder, ["0", "1", "2"]) as seen:
        encoder(x)
    assert torch.equal(seen["0"][0], x.mean(dim=(2, 3)))
    assert torch.equal(seen["1"][0], x.mean(dim=(2, 3)))
    assert seen["2"][0].shape == (1, 16)
    encoder(x)
    assert len(seen["0"]) == 1


def test_channels_may_come_last() -> None:
    class Last(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.permute(0, 2, 3, 1)

    x = torch.arange(32.0).view(2, 4, 2, 2)
    encoder = nn.Sequential(Last())
    with captured(encoder, ["0"]) as seen:
        encoder(x)
    assert torch.equal(seen["0"][0], x.mean(dim=(2, 3)))


class Odd(nn.Module):
    """A network whose stages are called twice, not at all, or give no tensor of features."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.idle, self.flat, self.pair = (nn.Identity() for _ in range(4))
        self.pair = nn.MultiheadAttention(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.twice(self.twice(x)).flatten(1)
        return x + self.flat(x.sum()) + self.pair(x, x, x)[0]


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ("twice", "called 2 times for each view"),
        ("idle", "called 0 times for each view"),
        ("flat", r"gives \(\); \(N, D\)"),
        ("pair", "gives tuple"),
    ],
)
def test_a_stage_that_gives_no_features_is_refused(stage: str, says: str) -> None:
    encoder = Odd().train()
    with pytest.raises(UserError, match=says):
        check_stages(encoder, [stage], torch.zeros(2, 1, 2, 2))
    assert encoder.training and not encoder.get_submodule(stage)._forward_hooks
