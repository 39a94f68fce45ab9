"""The learned colour space: its file, its errors, and why its channels are standardised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import pictures, seeded
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from trained_generators import saved_space, trained

from viewfinder.core.errors import UserError
from viewfinder.objectives.info_nce import info_nce
from viewfinder.views import compose
from viewfinder.views.learned_space import FORMAT, WHAT, LearnedSpace, Shape, load, save


def rewritten(file: Path, to: Path, tensors: Any = None, **about: Any) -> Path:
    """The same file with another header, or other tensors."""
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        known = json.loads(opened.metadata()["about"])
    kept = load_file(file) if tensors is None else tensors
    save_file(kept, to, metadata={"about": json.dumps({**known, **about})})
    return to


@pytest.mark.parametrize("kind", ["vp", "nvp"])
@pytest.mark.parametrize("space", ["rgb", "ydbdr", "lab"])
def test_a_file_gives_back_what_was_saved_frozen(tmp_path: Path, space: str, kind: str) -> None:
    file = saved_space(tmp_path, space=space, kind=kind)
    again, x = load(file), torch.rand(4, 3, 8, 8, generator=seeded(1))
    assert not again.training and not any(p.requires_grad for p in again.parameters())
    assert again.shape == Shape(space=space, kind=kind)
    torch.testing.assert_close(again.inverse(again(x)), x, atol=1e-4, rtol=0)
    save(again, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


def test_channels_of_many_images_are_standardised(tmp_path: Path) -> None:
    space = trained(LearnedSpace(Shape()))
    z = space.train()(torch.rand(64, 3, 8, 8, generator=seeded()))
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_it_is_a_step_of_which_the_channels_are_two_views(tmp_path: Path) -> None:
    file = saved_space(tmp_path)
    maker = compose([{"crop": [0.2, 1.0]}, "flip", {"learned": str(file)}], 16, split="channels:1")
    images = pictures(6)
    first, second = maker(images, seeded())
    assert first.shape == (6, 1, 16, 16) and second.shape == (6, 2, 16, 16)
    assert not first.requires_grad
    assert [domain.network for domain in maker.domains] == ["first", "second"]
    seen = maker.frozen(images)
    whole = compose(["normalise"], 16).frozen(images)["main"] / 2 + 0.5
    torch.testing.assert_close(
        torch.cat(list(seen.values()), 1), load(file)(whole), atol=1e-5, rtol=0
    )
    maker.train()  # as a training does with all that is in it
    torch.testing.assert_close(maker(images, seeded())[0], first, atol=0, rtol=0)


def test_what_is_no_generator_is_refused_by_name(tmp_path: Path) -> None:
    file = saved_space(tmp_path)
    whole = load_file(file)
    key = "generator.blocks.0.weight"
    negative = {k: -1 - v for k, v in whole.items() if k.endswith("running_var")}
    (tmp_path / "text").write_text("no tensors")
    (tmp_path / "cut").write_bytes(file.read_bytes()[:-40])
    save_file({"a": torch.zeros(2)}, tmp_path / "weights")
    cases: dict[Path, str] = {
        tmp_path / "none": "there is no file",
        tmp_path: "is no file, but a folder",
        tmp_path / "text": "damaged, or no generator",
        tmp_path / "cut": "damaged, or no generator",
        tmp_path / "weights": "is a safetensors file, but no generator",
        rewritten(file, tmp_path / "newer", format=FORMAT + 1): f"reads up to {FORMAT}",
        rewritten(file, tmp_path / "unsaid", format="x"): "is of format x",
        rewritten(file, tmp_path / "bool", format=True): "is of format True",
        rewritten(file, tmp_path / "below", format=-9): "is of format -9",
        rewritten(file, tmp_path / "negative", {**whole, **negative}): "a variance below 0",
        rewritten(file, tmp_path / "other", what="a sphere"): "no generator of views",
        rewritten(file, tmp_path / "space", space="cmyk"): "there is no space cmyk",
        rewritten(file, tmp_path / "kind", kind="glow"): "does not say what it is",
        rewritten(file, tmp_path / "wider", units=9): "are not what it announces",
        rewritten(file, tmp_path / "vast", units=10_000, blocks=1_000): "not what it announces",
        rewritten(file, tmp_path / "less", {k: v for k, v in whole.items() if k != key}): key,
        rewritten(file, tmp_path / "nan", {**whole, key: whole[key] * torch.nan}): "not finite",
    }
    for path, told in cases.items():
        with pytest.raises(UserError, match=told) as error:
            compose([{"learned": str(path)}], 16)
        assert str(path) in str(error.value)
    assert WHAT in file.read_bytes().decode("latin1")


def test_images_of_other_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="learned needs 3 channels, what reaches it has 1"):
        compose([{"learned": str(saved_space(tmp_path))}], 16, channels=1)
    with pytest.raises(UserError, match="given no file"):
        compose(["learned"], 16)
    with pytest.raises(UserError, match=r"takes values in \[0, 1\]"):
        compose(["lab", {"learned": str(saved_space(tmp_path))}], 16)
    with pytest.raises(UserError, match="YDbDr is of images with 3 channels, these have 4"):
        LearnedSpace(Shape(channels=4, space="ydbdr"))
    four = saved_space(tmp_path, channels=4)
    made = compose([{"learned": str(four)}], 16, channels=4, split="channels:1")
    assert made(pictures(2, 4))[1].shape == (2, 3, 16, 16)


SHRUNK = -4.0
"""What the last blocks multiply a channel by, as an exponent."""


def cheat(space: LearnedSpace) -> LearnedSpace:
    """A generator that has learned to do nothing but shrink its last channel as far as it can: F of
    each block is -1 for it, whatever the channel kept."""
    with torch.no_grad():
        for block in space.generator.blocks:
            others = [c for c in range(3) if c != block.kept]
            if 2 in others:
                block.bias_out[2 + others.index(2)] = -10.0
    return space


def found(standardised: bool, cheats: bool) -> float:
    """I_NCE, in nats, that two small networks find on other images than they are trained on, where
    the first view is a pattern, and the second noise and the same pattern."""
    torch.manual_seed(0)
    space = LearnedSpace(Shape())
    space = cheat(space) if cheats else space
    space.standardise = space.standardise if standardised else nn.Identity()  # type: ignore
    networks = [_network(1), _network(2)]
    optimizer = torch.optim.Adam([p for n in networks for p in n.parameters()], 3e-3)

    def loss(step: int) -> Tensor:
        pattern, noise = torch.rand(2, 128, 1, 4, 4, generator=seeded(step))
        with torch.no_grad():
            views = space(torch.cat([pattern, noise, pattern], 1))
        return info_nce(networks[0](views[:, :1]), networks[1](views[:, 1:]), 0.1)

    for step in range(60):
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
    with torch.no_grad():
        held_out = torch.stack([loss(1000 + step) for step in range(5)]).mean()
    return float(torch.log(torch.tensor(128.0)) - held_out)


def _network(channels: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * 16, 64), nn.ReLU(), nn.Linear(64, 16))


def test_shrinking_a_channel_lowers_the_information_but_where_it_is_standardised() -> None:
    """The view holds the same in all four cases: the generator can be undone."""
    honest, hidden = found(False, False), found(False, True)
    assert hidden < honest / 2, "the cheat should pay where nothing is standardised"
    honest, hidden = found(True, False), found(True, True)
    assert abs(hidden - honest) < 0.05
