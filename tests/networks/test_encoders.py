"""Encoders: what every row of the table keeps, shapes, stems, a class of one's own, the errors."""

from __future__ import annotations

import socket
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from viewfinder.core import plugins
from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain, Modality
from viewfinder.networks.convnet import ConvNet
from viewfinder.networks.encoders import ENCODERS, build_encoder
from viewfinder.networks.heads import head
from viewfinder.networks.mlp import mlp
from viewfinder.networks.stages import captured, stage_names
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import build, parse_overrides

DOMAINS: dict[Modality, Domain] = {
    "images": Domain("images", (3, 16, 16)),
    "points": Domain("points", (2,)),
    "tokens": Domain("tokens", (7,), words=5),
    "clips": Domain("clips", (4, 3, 16, 16)),
}
WORDS = {"timm": "resnet18", "own": "own_nets:Net"}
"""What chooses a row whose own name says too little."""


class Net(nn.Module):
    """Takes everything there is; the mean over all but the first dimension, in 7 directions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.layer = nn.Linear(1, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.float().flatten(1).mean(1, keepdim=True))


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A loaded plug-in with the class ``Net``."""
    module = types.ModuleType("own_nets")
    module.Net = Net  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_nets", module)
    monkeypatch.setattr(plugins, "_loaded", {})
    plugins.load(["own_nets"])
    return module


def views(domain: Domain, number: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    if domain.modality == "tokens":
        return torch.randint(0, 5, (number, *domain.shape), generator=generator)
    return torch.randn(number, *domain.shape, generator=generator)


def made(word: str, domain: Domain, seed: int = 0) -> tuple[nn.Module, int]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_encoder(word, domain)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "modality"),
    [(row.name, kind) for row in ENCODERS.values() for kind in row.modalities],
)
def test_every_encoder_keeps_the_contract(name: str, modality: Modality) -> None:
    """Rows of features, also of two; state that comes back; weights that follow the seed alone."""
    domain, word = DOMAINS[modality], WORDS.get(name, name)
    encoder, dim = made(word, domain)
    batch = views(domain, 5)
    with torch.no_grad():
        assert encoder(batch).shape == (5, dim)
        assert encoder(batch[:2]).shape == (2, dim)  # in training mode, where batch norm counts
        encoder.eval()
        features = encoder(batch)
        assert features.dtype == torch.float32
        assert torch.isfinite(features).all()
        same, other = made(word, domain)[0], made(word, domain, seed=1)[0]
        first = list(made(word, domain)[0].parameters())
        assert all(map(torch.equal, first, same.parameters()))
        assert not all(map(torch.equal, first, other.parameters()))
        other.load_state_dict(encoder.state_dict())
        torch.testing.assert_close(other.eval()(batch), features, rtol=0, atol=0)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("name", ENCODERS)
def test_other_data_and_options_are_refused(name: str) -> None:
    row, word = ENCODERS[name], WORDS.get(name, name)
    with pytest.raises(ValidationError, match="no_such_option"):
        build_encoder(word, DOMAINS[row.modalities[0]], {"no_such_option": 1})
    for modality in set(DOMAINS) - set(row.modalities):
        with pytest.raises(UserError, match=rf"encoder={name} takes .*{modality}"):
            build_encoder(word, DOMAINS[modality])
    with pytest.raises(UserError, match=rf"encoder={name} has no option 'no_such_option'"):
        build("simclr", {"encoder": {"name": word, "no_such_option": 1}})


@pytest.mark.parametrize("name", [row.name for row in ENCODERS.values() if row.maps])
def test_stages_give_maps_where_an_encoder_says_so(name: str) -> None:
    encoder, _ = made(WORDS.get(name, name), DOMAINS["images"])
    maps: dict[str, Any] = {}
    for stage in stage_names(encoder):
        encoder.get_submodule(stage).register_forward_hook(
            lambda module, given, out, stage=stage: maps.update({stage: out})
        )
    encoder.eval()(views(DOMAINS["images"], 2))
    spatial = {k: v for k, v in maps.items() if isinstance(v, Tensor) and v.ndim == 4}
    assert len({v.shape[-1] for v in spatial.values()}) > 1  # of several resolutions
    with captured(encoder, list(spatial)) as seen:
        encoder(views(DOMAINS["images"], 2))
    assert all(len(outputs) == 1 and outputs[0].ndim == 2 for outputs in seen.values())


@pytest.mark.parametrize("name", ENCODERS)
def test_rows_with_pretrained_weights_have_the_option(name: str) -> None:
    row = ENCODERS[name]
    assert row.pretrained == ("pretrained" in row.options.model_fields)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize(("name", "width"), [("convnet", 16), ("mlp", 16), ("resnet18", 512)])
def test_any_channels_give_rows_of_features(name: str, width: int, channels: int) -> None:
    options = {} if width == 512 else {"widths": [8, 16]}
    encoder, dim = build_encoder(name, Domain("images", (channels, 16, 16)), options)
    assert encoder(torch.randn(3, channels, 16, 16)).shape == (3, dim)
    assert dim == width


def test_the_papers_small_convnet() -> None:
    net = ConvNet(3, [8, 16, 32, 64])
    weights = sum(p.numel() for p in net.parameters() if p.ndim == 4)
    assert weights == 9 * (3 * 8 + 8 * 16 + 16 * 32 + 32 * 64)


def test_an_mlp_is_its_matrices() -> None:
    net = mlp(2, [3, 1], "tanh")
    first, _, second = net
    x = torch.randn(4, 2)
    expected = torch.tanh(x @ first.weight.T + first.bias) @ second.weight.T + second.bias
    torch.testing.assert_close(net(x), expected)
    assert len(mlp(2, [3, 1], last_activation=True)) == 4
    encoder, _ = build_encoder(
        "mlp", DOMAINS["points"], {"widths": [3, 1], "last_activation": False}
    )
    assert isinstance(encoder[-1], nn.Linear)  # type: ignore[index]


def test_the_stem_decides_the_resolution() -> None:
    sides = []
    tried = (("small", 32), ("strided", 32), ("original", 32), ("auto", 64), ("auto", 65))
    for stem, size in tried:
        model, _ = build_encoder("resnet18", Domain("images", (3, size, size)), {"stem": stem})
        model.layer1.register_forward_hook(lambda m, i, o: sides.append(o.shape[-1]))
        model.eval()(torch.zeros(1, 3, size, size))
    assert sides == [32, 16, 8, 64, 17]


@pytest.mark.parametrize("name", ["convnet", "mlp", "own_nets:Net"])
@pytest.mark.usefixtures("own")
def test_weights_that_are_not_there_are_refused(name: str) -> None:
    row = "own" if ":" in name else name
    with pytest.raises(UserError, match=rf"encoder={row} has no option 'pretrained' \(timm has it"):
        build("simclr", {"encoder": {"name": name, "pretrained": True}})


def test_a_transformer_takes_the_given_size() -> None:
    encoder, dim = build_encoder("vit_tiny_patch16_224", Domain("images", (3, 32, 32)))
    assert encoder(torch.zeros(2, 3, 32, 32)).shape == (2, dim)


def test_words_choose_rows_and_set_their_options() -> None:
    def encoder(*words: str) -> tuple[str, str, Any]:
        part = build("simclr", parse_overrides(words)).encoder
        return part.name, str(part), part.options()

    assert encoder()[:2] == ("convnet", "convnet")
    assert encoder("encoder.widths=[4,8]")[2].widths == [4, 8]
    name, word, options = encoder("encoder=resnet18", "encoder.stem=strided")
    assert (name, word, options.stem, options.pretrained) == ("timm", "resnet18", "strided", False)
    assert encoder("encoder=timm:resnet18")[2].model == "resnet18"
    assert encoder("encoder=resnet18", "encoder.pretrained=true")[2].pretrained
    with pytest.raises(UserError, match=r"encoder=timm has no option 'widths'"):
        encoder("encoder=resnet18", "encoder.widths=[4]")


def test_a_recipe_with_an_encoder_is_read_back() -> None:
    for word in ("resnet18", "mlp", "convnet"):
        recipe = build("simclr", {"encoder": {"name": word}})
        assert build(None, recipe.plain()).plain() == recipe.plain()


@pytest.mark.usefixtures("own")
def test_a_users_own_class() -> None:
    encoder, dim = build_encoder("own_nets:Net", Domain("images", (2, 8, 8)))
    assert dim == 7
    assert isinstance(encoder, Net)
    assert encoder.channels == 2


def test_a_users_own_function(own: types.ModuleType) -> None:
    def small() -> nn.Module:
        return Net(9)

    small.__module__ = "own_nets.nets"  # as written in a submodule and shown by its package
    own.small = small  # type: ignore[attr-defined]
    encoder, _ = build_encoder("own_nets:small", DOMAINS["points"])
    assert encoder.channels == 9


def test_a_map_instead_of_features_is_refused(own: types.ModuleType) -> None:
    own.Net = nn.Identity  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"\(2, D\) was expected"):
        build_encoder("own_nets:Net", Domain("images", (2, 8, 8)))


def called_from_elsewhere() -> None:
    raise AssertionError("a function of another module was called")


def test_only_networks_and_functions_of_the_plugin_are_called(own: types.ModuleType) -> None:
    own.imported = called_from_elsewhere  # type: ignore[attr-defined]
    own.kind = dict  # type: ignore[attr-defined]
    own.made = Net(3)  # type: ignore[attr-defined]
    for name in ("imported", "kind", "made", "missing"):
        with pytest.raises(UserError, match=r"a subclass of torch\.nn\.Module is expected"):
            build_encoder(f"own_nets:{name}", DOMAINS["images"])

    def number() -> int:
        return 3

    number.__module__ = "own_nets"
    own.number = number  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"a function of that module that says it returns one"):
        build_encoder("own_nets:number", DOMAINS["images"])
    number.__annotations__["return"] = nn.Module
    with pytest.raises(UserError, match=r"made a int, not a torch\.nn\.Module"):
        build_encoder("own_nets:number", DOMAINS["images"])


@pytest.mark.parametrize(
    ("name", "says"),
    [("resnet81", "resnet18"), ("convnets", "convnet"), ("json:Net", "json is not loaded")],
)
def test_unknown_encoders_are_named(name: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        build_encoder(name, Domain("images", (3, 32, 32)))


def test_weights_that_cannot_be_fetched_are_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, **arguments: object) -> nn.Module:
        if "img_size" in arguments:
            raise TypeError("unexpected keyword img_size")
        raise ConnectionError("no network")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(UserError, match=r"resnet18.*(no network|cannot be reached)"):
        build_encoder("resnet18", Domain("images", (3, 32, 32)), {"pretrained": True})


def test_heads_have_the_layers_of_the_papers() -> None:
    byol = head(512, [4096, 256], batch_norm=True)
    kinds = [type(layer).__name__ for layer in byol]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert byol[-1].out_features == 256
    with pytest.raises(ValueError, match="empty"):
        head(8, [])


def test_without_a_network_missing_weights_are_told_after_one_attempt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    attempts = []

    def refused(*address: object, **_: object) -> None:
        attempts.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"weights of resnet18 are not.*encoder\.pretrained=false"):
        build_encoder("resnet18", Domain("images", (3, 32, 32)), {"pretrained": True})
    assert len(attempts) == 1
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("word", ["timm:no_such_model", "own:os:system", "own:json:dumps"])
def test_what_cannot_be_built_is_refused_with_the_recipe(word: str) -> None:
    plugins.load(["os", "json"])
    recipe = build("simclr", {"encoder": word})
    with pytest.raises(UserError, match="encoder"):
        check_parts(recipe)
