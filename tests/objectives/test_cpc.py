"""CPC: its loss against loops, its ranks, and context networks that look back alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.networks.context import CONTEXTS, Predictions
from viewfinder.networks.patches import Patches
from viewfinder.objectives import OBJECTIVES
from viewfinder.objectives.cpc import CPCOptions, cpc
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import build, complete
from viewfinder.training.parts import Parts

ROWS, DIM, STEPS, FIRST = 4, 3, 2, 1
HOW = {"side": ROWS, "first": FIRST, "steps": STEPS}


def drawn(n: int, directions: int = 1, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    width = ROWS**2 * DIM
    query = torch.randn(n, directions * STEPS * width, generator=generator, dtype=torch.float64)
    key = torch.randn(n, width, generator=generator, dtype=torch.float64)
    return query.to(dtype).requires_grad_(), key.to(dtype).requires_grad_()


def by_loops(query: Tensor, key: Tensor, temperature: float, directions: int) -> Tensor:
    """Patch by patch as the paper has it, each direction on a grid that is turned by hand."""
    n = len(key)
    said = query.view(n, directions, STEPS, ROWS, ROWS, DIM)
    grid = key.view(n, ROWS, ROWS, DIM)
    everything = grid.reshape(-1, DIM)

    def turned(i: int, j: int, turn: int) -> tuple[int, int]:
        """Where (i, j) of a grid turned counter-clockwise was before."""
        for _ in range(turn):
            i, j = j, ROWS - 1 - i
        return i, j

    means = []
    for turn in range(directions):
        for step in range(STEPS):
            k, losses = FIRST + step, []
            for image in range(n):
                for i in range(ROWS - k):
                    for j in range(ROWS):
                        q = said[image, turn, step, i, j]
                        row, column = turned(i + k, j, turn)
                        own = (q @ grid[image, row, column]) / temperature
                        losses.append(torch.logsumexp(everything @ q / temperature, 0) - own)
            means.append(torch.stack(losses).mean())
    return torch.stack(means).mean()


@pytest.mark.parametrize("directions", [1, 4])
@pytest.mark.parametrize("samples", [2, 3])
def test_the_loss_is_the_papers_patch_by_patch(samples: int, directions: int) -> None:
    query, key = drawn(samples, directions)
    found = cpc(query, key, 0.7, **HOW, directions=directions)
    wanted = by_loops(query, key, 0.7, directions)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    got, right = (torch.autograd.grad(x, (query, key)) for x in (found, wanted))
    torch.testing.assert_close(got, right, rtol=1e-10, atol=1e-12)


def test_predictions_of_nothing_have_no_gradient_and_cold_ones_are_finite() -> None:
    query, key = drawn(2, dtype=torch.float32)
    cpc(query, key, 0.01, **HOW).backward()
    assert query.grad is not None and key.grad is not None
    assert torch.isfinite(query.grad).all() and torch.isfinite(key.grad).all()
    by_step = query.grad.view(2, STEPS, ROWS, ROWS, DIM)
    for step in range(STEPS):
        assert (by_step[:, step, ROWS - FIRST - step :] == 0).all()


def test_a_patch_is_told_from_those_of_its_own_image_and_of_others() -> None:
    """With all patches at the corners of a simplex, the loss is the least there is."""
    n, width = 2, 2 * ROWS**2
    row, options = OBJECTIVES["cpc"], CPCOptions(**HOW, temperature=0.3)
    corners = torch.eye(width, dtype=torch.float64) - 1 / width
    grid = corners.view(n, ROWS, ROWS, width)
    said = torch.zeros(n, STEPS, ROWS, ROWS, width, dtype=torch.float64)
    for step in range(STEPS):
        k = FIRST + step
        said[:, step, : ROWS - k] = grid[:, k:]
    found = row([said.flatten(1)], [grid.flatten(1)], options=options)["loss"].item()
    assert row.minimum is not None and row.chance is not None
    assert found == pytest.approx(row.minimum(options, n, 1, n), rel=1e-9)
    nothing = row([0 * said.flatten(1)], [grid.flatten(1)], options=options)["loss"].item()
    assert nothing == pytest.approx(row.chance(options, n, 1, n, 1), rel=1e-9)


def worker(rank: int, folder: str, shares: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(shares)
    )
    start = sum(shares[:rank])
    loss, gradients = scored(slice(start, start + shares[rank]))
    torch.save((loss, gradients), f"{folder}/{rank}.pt")
    dist.barrier()
    os._exit(0)


def scored(rows: slice) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients of a predictor for some samples of a batch of six."""
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(6, ROWS**2 * DIM, generator=generator, dtype=torch.float64)[rows]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        predictor = Predictions("gru", ROWS, DIM, 5, STEPS).double()
        scale = torch.nn.Parameter(torch.ones(DIM, dtype=torch.float64))
    keys = (features.view(-1, DIM) * scale).view(len(features), -1)
    loss = OBJECTIVES["cpc"]([predictor(keys)], [keys], options=CPCOptions(**HOW))["loss"]
    found = torch.autograd.grad(loss, [scale, *predictor.parameters()])
    return loss.detach(), list(found)


@pytest.mark.parametrize("shares", [(2, 4), (1, 3, 2)], ids=str)
def test_several_processes_equal_one(shares: tuple[int, ...], tmp_path: Path) -> None:
    torch.multiprocessing.spawn(worker, (str(tmp_path), shares), nprocs=len(shares))
    loss, gradients = scored(slice(None))
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(len(shares))]
    mean = torch.stack([one[0] for one in ranks]).mean()
    torch.testing.assert_close(mean, loss, rtol=1e-12, atol=1e-12)
    for i, wanted in enumerate(gradients):
        joined = torch.stack([one[1][i] for one in ranks]).mean(0)
        torch.testing.assert_close(joined, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("directions", [1, 4])
@pytest.mark.parametrize("kind", CONTEXTS)
def test_a_prediction_depends_on_what_lies_behind_it_alone(kind, directions: int) -> None:  # type: ignore[no-untyped-def]
    """Of the turned grid rows up to its own; and of no other image."""
    torch.manual_seed(0)
    network = Predictions(kind, ROWS, DIM, 6, STEPS, directions).double()
    grid = torch.randn(2, ROWS, ROWS, DIM, dtype=torch.float64, requires_grad=True)
    said = network(grid.flatten(1)).view(2, directions, STEPS, ROWS, ROWS, DIM)
    for turn in range(directions):
        for i in range(ROWS):
            (gradient,) = torch.autograd.grad(said[0, turn, :, i].sum(), grid, retain_graph=True)
            seen = torch.rot90(gradient, turn, (1, 2)).abs().sum(-1) > 0
            assert not seen[1].any()
            assert seen[0, : i + 1].all() and not seen[0, i + 1 :].any()


def test_no_patch_is_told_of_another_by_the_encoder() -> None:
    for norm in ("none", "layer"):
        encoder = Patches(3, [4, 6], norm)
        x = torch.randn(2, 5, 3, 8, 8, requires_grad=True)
        (gradient,) = torch.autograd.grad(encoder.each(x)[1, 2].sum(), x)
        own = gradient.abs().sum((2, 3, 4)) > 0
        assert own.nonzero().tolist() == [[1, 2]]
        torch.testing.assert_close(encoder(x), encoder.each(x).mean(1))


def test_the_method_has_no_batch_norm_and_its_evaluation_is_the_mean_over_patches() -> None:
    recipe = complete(build("cpc", {"views": {"size": 16}}), (3, 16, 16))
    check_parts(recipe)
    parts = Parts(recipe, n=8)
    norms = [m for m in parts.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert norms == []
    x = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    view = parts.maker.frozen(x)["main"]
    assert view.shape[1] == 49
    assert parts.encoder(view).shape == (2, 256)
    assert parts.online["main"].features(view).shape == (2, 49 * 256)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"encoder": "convnet"}, "encoder=convnet gives no features of each"),
        ({"head": {"projector": [64]}}, "has a predictor of its own"),
        ({"head": {"predictor": [8, 64]}}, "has a predictor of its own"),
        ({"target": "momentum"}, "is of another network"),
        ({"objective": {"steps": 6}}, "7 rows ahead there is nothing in a grid of 7 rows"),
        ({"objective": {"side": 5, "steps": 3}}, "set for views of 25 patches, and .* 49"),
        ({"views": {"split": {"grid": {"patch": 20}}}}, "patches of 20 px do not fit"),
        ({"views": {"split": {"grid": {"patch": 8}}}}, "set for views of 49 patches, and .* of 9"),
        ({"views": {"split": "draws", "count": 2}}, "encoder=patchwise takes clips"),
        ({"negatives": "queue"}, "cannot use negatives=queue"),
    ],
)
def test_what_cannot_be_is_refused(given: dict, match: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UserError, match=match):
        _built(given)
    with pytest.raises(ValueError, match="no predictions of"):
        cpc(torch.zeros(2, 7), torch.zeros(2, 16), side=4, steps=1)


def _built(given: dict) -> Parts:  # type: ignore[type-arg]
    recipe = build("cpc", {**given, "views": {"size": 16, **given.get("views", {})}})
    check_parts(recipe)
    return Parts(complete(recipe, (3, 16, 16)), n=8)
