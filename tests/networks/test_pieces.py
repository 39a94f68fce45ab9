"""Networks of views in pieces: one encoder, statistics of their own, and a head that joins."""

from __future__ import annotations

import copy

import torch
from torch import nn

from viewfinder.networks.network import Network
from viewfinder.networks.pieces import OfPieces
from viewfinder.networks.targets import TARGETS


def encoder() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_pieces_pass_one_by_one_through_the_encoder() -> None:
    whole = encoder().eval()
    x = torch.rand(4, 9, 3, 8, 8)
    made = OfPieces(whole)(x)
    assert made.shape == (4, 9, 6)
    for k in range(9):
        torch.testing.assert_close(made[:, k], whole(x[:, k]))


def test_batch_norm_takes_the_pieces_own_statistics_and_leaves_the_running_ones() -> None:
    whole = encoder().train()
    whole(torch.rand(8, 3, 8, 8))
    norm = whole[1]
    before = norm.running_mean.clone(), norm.running_var.clone()
    x = 5 + 3 * torch.randn(4, 9, 3, 8, 8)
    made = OfPieces(whole)(x)
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_var, before[1])
    assert norm.momentum == 0.1
    torch.testing.assert_close(made, copy.deepcopy(whole)(x.flatten(0, 1)).view(4, 9, 6))
    whole(x[:, 0])
    assert not torch.equal(norm.running_mean, before[0])


def test_the_shared_encoder_is_there_once_and_trained_by_both() -> None:
    main = Network(encoder(), 6, [8, 5])
    jigsaw = Network(OfPieces(main.encoder), 6, [8, 5], pieces=9)
    both = nn.ModuleDict({"main": main, "jigsaw": jigsaw})
    assert not [name for name in both.state_dict() if name.startswith("jigsaw.encoder")]
    z = jigsaw.projector(jigsaw.encoder(torch.rand(4, 9, 3, 8, 8)))
    assert z.shape == (4, 5)
    z.square().sum().backward()
    assert main.encoder[0].weight.grad.abs().sum() > 0
    assert main.projector[0].weight.grad is None  # its head is its own


def test_the_order_of_the_pieces_matters_to_the_head() -> None:
    main = Network(encoder(), 6, [8, 5])
    jigsaw = Network(OfPieces(main.encoder), 6, [8, 5], pieces=9).eval()
    main.eval()
    x = torch.rand(4, 9, 3, 8, 8)
    there, back = (jigsaw.projector(jigsaw.encoder(v)) for v in (x, x.flip(1)))
    assert not torch.allclose(there, back, atol=1e-4)


def test_what_networks_share_their_momentum_copies_share() -> None:
    main = Network(encoder(), 6, [5])
    online = {"main": main, "jigsaw": Network(OfPieces(main.encoder), 6, [5], pieces=9)}
    row = TARGETS["momentum"]
    target = row.build(row.options(momentum=0.0, final_momentum=0.0), online)
    ours, theirs = target.networks["main"][0], target.networks["jigsaw"][0]
    assert theirs._shared[0] is ours and ours is not main.encoder
    with torch.no_grad():
        main.encoder[0].weight.add_(1)
    target.follow(online, 0, 10)
    assert torch.equal(theirs._shared[0][0].weight, main.encoder[0].weight)
