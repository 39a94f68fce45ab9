"""Vectors of the places of a stage, before an encoder averages them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.networks.encoders import build_encoder
from viewfinder.networks.places import Places, Read, as_places


def images(size: int) -> Domain:
    return Domain("images", (3, size, size))


@pytest.mark.parametrize(
    ("encoder", "size", "stage", "places"),
    [
        ("convnet", 32, "stage4", 16),  # stage5 has 2 x 2
        ("convnet", 8, "stage2", 16),
        ("resnet18", 32, "layer3", 64),  # layer4 is what is averaged to features
        ("resnet18", 64, "layer3", 256),
        ("vit_tiny_patch16_224", 64, "blocks", 17),  # 4 x 4 patches and the class token
    ],
)
def test_the_deepest_stage_with_places_but_for_the_last(
    encoder: str, size: int, stage: str, places: int
) -> None:
    network, _ = build_encoder(encoder, images(size))
    made = Places(network, images(size), Read(), [10, 6])
    assert made.stage == stage
    with made.read(network) as seen:
        network(torch.rand(2, 3, size, size))
    (given,) = seen
    assert made(given).shape == (2, places, 6)
    assert not network.get_submodule(stage)._forward_hooks


def test_each_place_has_its_own_vector_in_the_order_of_the_map() -> None:
    encoder = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    places = Places(encoder, images(5), Read("0"), [2])
    whole = Places(encoder, images(5), Read("0", whole=True), [2])
    x = torch.rand(3, 3, 5, 5)
    with places.read(encoder) as seen, whole.read(encoder) as again:
        encoder(x)
    given = seen[0]
    assert given is again[0]
    one = places.head[0](given[:, :, 1, 2])
    torch.testing.assert_close(places(given)[:, 7], one)
    torch.testing.assert_close(whole(given)[:, 0], whole.head[0](given.flatten(2).mT.flatten(1)))
    last = given.permute(0, 2, 3, 1)
    assert torch.equal(as_places(last), as_places(given))
    changed = x.clone()
    changed[:, :, 0, 0] += 1
    with places.read(encoder) as seen:
        encoder(changed)
    moved = (places(seen[0]) != places(given)).any(dim=2)
    assert moved[:, 0].all() and not moved[:, 1:].any()


def test_gradients_reach_the_stage_and_those_before_it() -> None:
    encoder, _ = build_encoder("convnet", images(16), {"widths": [4, 6, 8]})
    places = Places(encoder, images(16), Read("stage2"), [5])
    with places.read(encoder) as seen:
        encoder(torch.rand(4, 3, 16, 16))
    places(seen[0]).square().sum().backward()
    touched = {name for name, p in encoder.named_parameters() if p.grad is not None}
    assert {name.split(".")[0] for name in touched} == {"stage1", "stage2"}


def test_the_view_itself_is_read_as_the_encoder_sees_it() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 7))
    x = torch.rand(2, 3, 4, 4)
    places = Places(encoder, images(4), Read("view", whole=True), [5])
    with places.read(encoder) as seen:
        encoder(x)
    assert seen[0] is x and places(x).shape == (2, 1, 5)
    points = Domain("points", (2,))
    assert Places(nn.Linear(2, 3), points, Read("view", whole=True), [5])(x[0, 0, :, :2]).shape == (
        *(4, 1, 5),
    )


class Odd(nn.Module):
    """A network whose parts are called twice, not at all, or give no places."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.idle, self.flat = (nn.Identity() for _ in range(3))
        self.pair = nn.MultiheadAttention(12, 1)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.flat(self.twice(self.twice(x)).flatten(1))
        return x + self.pair(x, x, x)[0]


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ("twice", "objective.stage=twice: .* called 2 times"),
        ("idle", "called 0 times"),
        ("flat", r"gives \(2, 12\); a map .* Try: objective.stage=auto"),
        ("pair", "gives no tensor"),
        ("twise", "no such stage. It has: twice, idle, flat.* Try: objective.stage=twice"),
        ("auto", "no stage of the encoder but the last gives a map of 4 x 4.* none"),
        ("", "no such stage"),
    ],
)
def test_a_stage_without_places_is_refused(stage: str, says: str) -> None:
    encoder = Odd().train()
    with pytest.raises(UserError, match=says):
        Places(encoder, images(2), Read(stage), [5])
    assert encoder.training and not encoder.twice._forward_hooks
