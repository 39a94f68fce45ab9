"""What inner stages of an encoder give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.networks.encoders import build_encoder
from viewfinder.networks.stages import captured, check_stages

KEY = "regularizers.lbe.stages"


def test_maps_are_averaged_and_tokens_too() -> None:
    class Tokens(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(2).transpose(1, 2)

    encoder = nn.Sequential(nn.Identity(), Tokens(), nn.Flatten())
    assert check_stages(encoder, ["0", "1", "2"], (4, 2, 2), KEY) == {"2"}
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
        check_stages(encoder, [stage], (1, 2, 2), KEY)
    assert encoder.training and not encoder.get_submodule(stage)._forward_hooks


def test_the_last_map_of_a_network_is_its_features() -> None:
    names = {"convnet": ["stage1", "stage4", "stage5"], "resnet18": ["layer2", "layer3", "layer4"]}
    for name, stages in names.items():
        encoder, _ = build_encoder(name, Domain("images", (3, 32, 32)))
        assert check_stages(encoder, stages, (3, 32, 32), KEY) == {stages[-1]}
