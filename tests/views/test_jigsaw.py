"""The split into an image and its jigsaw."""

from __future__ import annotations

import math

import pytest
import torch
from pictures import pictures, seeded
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.views import compose
from viewfinder.views.splits.jigsaw import cells

GRID, CELL = 3, 8
STEPS = ["crop", "flip", "jitter", "normalise"]


def tiles(image: Tensor) -> Tensor:
    """(C, 24, 24) -> (9, C, 8, 8), row by row."""
    parts = image.unfold(1, CELL, CELL).unfold(2, CELL, CELL)  # (C, 3, 3, 8, 8)
    return parts.permute(1, 2, 0, 3, 4).reshape(9, -1, CELL, CELL)


def jigsaws(images: Tensor, **options: object) -> Tensor:
    split = {"jigsaw": {"cell": CELL, "scale": [1, 1], **options}}
    return compose(STEPS, 16, split=split)(images, seeded())[-1]


def test_whole_cells_out_of_order_are_the_image_to_the_pixel() -> None:
    images = pictures(40, 3, GRID * CELL, GRID * CELL)  # nothing is resized either
    made, mirrored, orders = jigsaws(images, piece=CELL), 0, []
    for image, pieces in zip((images / 255 - 0.5) / 0.5, made, strict=True):
        assert pieces.shape == (9, 3, CELL, CELL)
        found = []
        for flipped in (image, image.flip(-1)):
            near = (pieces[:, None] - tiles(flipped)).abs().amax((2, 3, 4)) < 1e-5
            found.append(near)
        near = max(found, key=lambda one: int(one.sum()))
        mirrored += near is found[1]
        assert torch.equal(near.sum(0), torch.ones(9)) and torch.equal(near.sum(1), torch.ones(9))
        orders.append(tuple(near.int().argmax(1).tolist()))
    assert 8 < mirrored < 32
    assert len(set(orders)) > 35


def test_each_piece_is_of_a_cell_of_its_own() -> None:
    """With pieces smaller than their cells: which cell, and where in it, is read from the image."""
    image = torch.zeros(3, GRID * CELL, GRID * CELL, dtype=torch.uint8)
    image[0], image[1] = torch.arange(GRID * CELL)[:, None], torch.arange(GRID * CELL)
    made = jigsaws(image.expand(200, -1, -1, -1), piece=5)
    corner = ((made[:, :, :2, 0, 0] * 0.5 + 0.5) * 255).round().long()  # (n, 9, 2)
    straight = made[:, 0, 1, 0, 1] > made[:, 0, 1, 0, 0]  # the others are mirrored
    corner = corner[straight]
    assert len(corner) > 50
    cell = corner[..., 0] // CELL * GRID + corner[..., 1] // CELL
    assert torch.equal(cell.sort(1).values, torch.arange(9).expand(len(cell), -1))
    within = corner % CELL
    assert within.amin() == 0 and within.amax() == CELL - 5
    assert len(within.flatten(1).unique(dim=0)) == len(within)


def test_orders_and_places_are_uniform() -> None:
    n = 20_000
    order, place = cells(n, 3, 4, seeded())
    assert torch.equal(order.sort(1).values, torch.arange(9).expand(n, -1))
    tolerance = 5 * math.sqrt(n / 9)
    for k in range(9):
        counts = order[:, k].bincount(minlength=9)
        assert (counts - n / 9).abs().max() < tolerance
    counts = place.flatten().bincount(minlength=5) / place.numel()
    torch.testing.assert_close(counts, torch.full((5,), 0.2), atol=0.005, rtol=0)


def test_cells_and_pieces_follow_the_size_as_in_the_papers_code() -> None:
    for size, cell, piece in ((224, 85, 64), (96, 36, 27), (32, 12, 9)):
        made = compose(STEPS, size, split="jigsaw")
        assert made.domains[-1].shape == (9, 3, piece, piece)
        assert made.jigsaw.domain.shape == (3, 3 * cell, 3 * cell)  # type: ignore[union-attr]


def test_the_jigsaw_keeps_what_evaluation_sees_and_no_colour_steps() -> None:
    made = compose(["crop", "flip", "jitter", {"grey": 1.0}, "lab"], 16, split="jigsaw")
    kept = [item.step.name for item in made.jigsaw.items]  # type: ignore[union-attr]
    assert kept == ["crop", "flip", "lab"]
    whole, jigsaw = made.domains
    assert (whole.weight, jigsaw.weight) == (0.5, 0.5)
    assert (whole.network, jigsaw.network, jigsaw.pieces_of) == ("main", "jigsaw", "main")
    assert list(made.encoders) == ["main"]


def test_a_jigsaw_is_shown_as_its_pieces_lie() -> None:
    images = pictures(4, 3, GRID * CELL, GRID * CELL)
    split = {"jigsaw": {"cell": CELL, "piece": CELL, "scale": [1, 1]}}
    made = compose(["normalise"], 16, split=split)
    jigsaw = made(images, seeded())[-1]
    shown = made.shown(jigsaw, 1)
    assert shown.shape == (4, 3, GRID * CELL, GRID * CELL)
    for picture, pieces in zip(shown, jigsaw, strict=True):
        torch.testing.assert_close(tiles(picture), pieces * 0.5 + 0.5)


def test_pieces_larger_than_their_cells_are_refused() -> None:
    with pytest.raises(UserError, match="pieces of 9 px do not fit into cells of 8 px"):
        compose(STEPS, 16, split={"jigsaw": {"cell": 8, "piece": 9}})
