"""Encoders by name: shapes, stems, channels, a user's own class, and the errors."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import nn

from viewfinder.core.errors import UserError
from viewfinder.networks.convnet import ConvNet
from viewfinder.networks.encoders import build_encoder
from viewfinder.networks.heads import head


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("name", ["convnet", "mlp", "resnet18"])
def test_any_channels_give_rows_of_features(name: str, channels: int) -> None:
    encoder, dim = build_encoder(name, channels=channels, size=16, widths=[8, 16])
    assert encoder(torch.randn(3, channels, 16, 16)).shape == (3, dim)
    assert dim == (512 if name == "resnet18" else 16)


def test_the_papers_small_convnet() -> None:
    net = ConvNet(3, [8, 16, 32, 64])
    weights = sum(p.numel() for p in net.parameters() if p.ndim == 4)
    assert weights == 9 * (3 * 8 + 8 * 16 + 16 * 32 + 32 * 64)


def test_the_small_stem_keeps_the_resolution() -> None:
    sides = []
    for stem in ("small", "strided", "original"):
        model, _ = build_encoder("resnet18", channels=3, size=32, stem=stem)
        model.layer1.register_forward_hook(lambda m, i, o: sides.append(o.shape[-1]))
        model.eval()(torch.zeros(1, 3, 32, 32))
    assert sides == [32, 16, 8]


@pytest.mark.parametrize("name", ["convnet", "mlp", "own_nets:Net"])
def test_weights_that_are_not_there_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} has no weights to start from"):
        build_encoder(name, channels=3, size=16, pretrained=True)


def test_a_transformer_takes_the_given_size() -> None:
    encoder, dim = build_encoder("vit_tiny_patch16_224", channels=3, size=32)
    assert encoder(torch.zeros(2, 3, 32, 32)).shape == (2, dim)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("own_nets")
    monkeypatch.setitem(sys.modules, "own_nets", module)
    return module


def test_a_users_own_class(own: types.ModuleType) -> None:
    class Net(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.layer = nn.Linear(channels, 7)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.mean((2, 3)))

    own.Net = Net  # type: ignore[attr-defined]
    encoder, dim = build_encoder("own_nets:Net", channels=2, size=8)
    assert dim == 7
    assert isinstance(encoder, Net)


def test_a_map_instead_of_features_is_refused(own: types.ModuleType) -> None:
    own.Net = nn.Identity  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"\(2, D\) was expected"):
        build_encoder("own_nets:Net", channels=2, size=8)


@pytest.mark.parametrize(
    ("name", "says"),
    [("resnet81", "resnet18"), ("no_such_module:Net", "cannot be imported"), ("torch:nn", "built")],
)
def test_unknown_encoders_are_named(name: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        build_encoder(name, channels=3, size=32)


def test_weights_that_cannot_be_fetched_are_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, **arguments: object) -> nn.Module:
        if "img_size" in arguments:
            raise TypeError("unexpected keyword img_size")
        raise ConnectionError("no network")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(UserError, match=r"resnet18.*no network"):
        build_encoder("resnet18", channels=3, size=32, pretrained=True)


def test_heads_have_the_layers_of_the_papers() -> None:
    byol = head(512, [4096, 256], batch_norm=True)
    kinds = [type(layer).__name__ for layer in byol]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert byol[-1].out_features == 256
    with pytest.raises(ValueError, match="empty"):
        head(8, [])
