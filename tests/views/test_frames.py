"""Frames of clips: which ones are the views, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pictures import pictures, seeded

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.recipes.check import check_data
from viewfinder.recipes.recipe import build, complete
from viewfinder.views import ViewMaker, compose

CLIPS = Domain("clips", (5, 3, 8, 8))


def clips(n: int = 4) -> torch.Tensor:
    return pictures(5 * n, height=8, width=8).view(n, *CLIPS.shape)


def frames(**options: Any) -> ViewMaker:
    return compose(["normalise"], domain=CLIPS, split={"frames": options})


def seen(x: torch.Tensor) -> torch.Tensor:
    """As the steps leave it: mean and deviation 1/2."""
    return (x.float() / 255 - 0.5) / 0.5


@pytest.mark.parametrize(
    ("options", "past", "later"),
    [
        ({}, [0, 1, 2, 3], 4),
        ({"past": 2}, [0, 1], 4),
        ({"past": 2, "future": 3}, [0, 1], 2),
        ({"future": 3}, [0, 1], 2),
        ({"past": 3, "every": 2}, [0, 2], 4),
        ({"every": 3}, [0, 3], 4),
        ({"every": 9}, [3], 4),
    ],
)
def test_past_frames_and_a_later_one(options: dict[str, Any], past: list[int], later: int) -> None:
    made, x = frames(**options), clips()
    views = made(x, seeded())
    assert torch.equal(views[0], seen(x[:, past]))
    assert torch.equal(views[1], seen(x[:, later]))
    assert [domain.network for domain in made.domains] == ["clip", "frame"]
    assert list(made.encoders) == ["frame"]
    assert torch.equal(made.frozen(x)["frame"], views[1])
    torch.testing.assert_close(made.shown(views[1], 1), x[:, later] / 255)
    side_by_side = torch.cat([x[:, t] for t in past], 3) / 255
    torch.testing.assert_close(made.shown(views[0], 0), side_by_side)


def test_a_single_frame_is_an_image() -> None:
    x = clips()
    for number, options in ((5, {}), (2, {"number": 2})):
        made = compose(["crop", "flip", "normalise"], domain=CLIPS, split={"frame": options})
        image = Domain("images", (3, 8, 8))
        like = compose(["crop", "flip", "normalise"], domain=image)
        for one, other in zip(made(x, seeded()), like(x[:, number - 1], seeded()), strict=True):
            assert torch.equal(one, other)
        assert torch.equal(made.frozen(x)["main"], like.frozen(x[:, number - 1])["main"])


@pytest.mark.parametrize(
    ("split", "match"),
    [
        ({"frames": {"past": 5}}, "need clips of 6 frames .*; these have 5"),
        ({"frames": {"future": 6}}, "need clips of 6 frames"),
        ({"frames": {"past": 4, "future": 3}}, "need clips of 5 frames .*; these have 5"),
        ({"frames": {"future": 1}}, "these have 5"),
        ({"frames": {"share": ["colour"]}}, "share"),
        ({"frame": 6}, "no frame 6 in clips of 5"),
    ],
)
def test_clips_that_are_too_short_are_refused(split: Any, match: str) -> None:
    with pytest.raises(UserError, match=match):
        compose(["normalise"], domain=CLIPS, split=split)


def test_steps_by_chance_and_two_lists_are_refused() -> None:
    with pytest.raises(UserError, match="the step flip is drawn by chance"):
        compose(["flip", "normalise"], domain=CLIPS, split="frames")
    with pytest.raises(UserError, match="lists of the first and the second view differ"):
        compose(["normalise"], second=[], domain=CLIPS, split="frames")
    with pytest.raises(UserError, match="is for clips, the data are images"):
        compose(["normalise"], 8, split="frames")


def test_clips_of_another_kind_are_refused() -> None:
    for x in (clips().float(), clips()[:, :4]):
        with pytest.raises(ValueError, match=r"uint8 \(N, 5, 3, 8, 8\) is expected"):
            frames()(x)


def test_what_is_composed_anew_needs_data_that_know_their_layers() -> None:
    with pytest.raises(UserError, match="the digit of these data is not known"):
        frames(share=["background"])(clips(), seeded())
    views = {"steps": ["normalise"], "split": {"frames": {"share": ["background"]}}}
    recipe = build("simclr", {"views": views, "encoder": "recurrent", "batch_size": 2})
    split = Split("train", ArrayData(clips(), "clips"))
    recipe = complete(recipe, split.data.shape, "clips")
    with pytest.raises(UserError, match="the digit of shapes is not known"):
        check_data(recipe, split)
