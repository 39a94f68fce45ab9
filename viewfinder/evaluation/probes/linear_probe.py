"""The linear probe: logistic regression on frozen features, its weight decay chosen on held-out
rows of the training part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field, JsonValue
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.randomness import torch_generator
from viewfinder.core.ranges import Weight
from viewfinder.core.table import Options
from viewfinder.evaluation.probes.contract import Details, ProbeRow
from viewfinder.evaluation.probes.logistic import (
    LogisticFit,
    Preconditioner,
    cross_entropy,
    fit_logistic,
    preconditioner,
)

SELECTION_TOLERANCE = 1e-3
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Selection:
    """How a weight decay was chosen: for each value the top-1 and the mean cross-entropy on the
    ``rows`` held-out rows; ``chosen`` indexes ``weight_decays``."""

    weight_decays: tuple[float, ...]
    top1: tuple[float, ...]
    cross_entropy: tuple[float, ...]
    chosen: int
    rows: int


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe: weight (D, C) and bias (C,) act on (x − mean) / std.

    ``gradient`` is the largest absolute component of the gradient left when the fit ended.
    """

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor
    weight_decay: float
    selection: Selection | None
    gradient: float
    iterations: int

    def scores(self, x: Tensor) -> Tensor:
        """Logits (n, C) of features x (n, D)."""
        return ((x - self.mean) / self.std) @ self.weight + self.bias


def weight_decay_grid(rows: int, dim: int, values: int = 8) -> tuple[float, ...]:
    """The weight decays to try: from 0.001 to 10 times dim / rows, even in the logarithm.

    The best weight decay of standardised features grows with the number of weights and shrinks with
    that of the rows: on 50,000 rows of 512 features of CIFAR-10 images it was below 0.001, on 5,000
    rows of their 3072 pixels 0.4.
    """
    steps = (-3 + 4 * i / (values - 1) for i in range(values))
    return tuple(float(f"{dim / rows * 10**step:.3g}") for step in steps)


def standardisation(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) of the columns of x (n, D); 1 where a column is constant."""
    variance, mean = torch.var_mean(x, 0, correction=0)
    std = variance.sqrt()
    return mean, torch.where(std > 1e-6 * mean.abs(), std, torch.ones_like(std))


def stratified_order(y: Tensor, fraction: float, seed: int) -> tuple[Tensor, int]:
    """A random order (n,) of the rows whose last ``held`` are a stratified held-out part.

    Of a class with m rows, round(fraction m) are held out, at least one and never all; a class with
    one row stays in the fitted part.
    """
    generator = torch_generator(seed, "linear probe: held-out rows")
    order = torch.randperm(len(y), generator=generator).to(y.device)
    shuffled = y[order]
    classes, counts = y.unique(return_counts=True)
    wanted = (fraction * counts).round().long().clamp_min(1).minimum(counts - 1)
    grouped = shuffled.argsort(stable=True)
    starts = counts.cumsum(0) - counts
    label = torch.arange(len(classes), device=y.device).repeat_interleave(counts)
    rank = torch.arange(len(y), device=y.device) - starts[label]
    held = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    held[grouped] = rank < wanted[label]
    return torch.cat([order[~held], order[held]]), int(held.sum())


def fit_linear_probe(
    x: Tensor,
    y: Tensor,
    num_classes: int,
    *,
    weight_decays: Sequence[float] | None = None,
    held_out: float = 0.15,
    seed: int = 0,
) -> LinearProbe:
    """Choose a weight decay on a held-out part of the rows, then fit on all of them.

    x float (n, D); y int64 (n,) in [0, num_classes). The features are standardised with their own
    mean and standard deviation. One classifier per weight decay is fitted, all together, on the
    rows that are not held out; the one with the highest top-1 on the held-out rows wins, a tie
    going to the lower cross-entropy there; its weight decay is fitted again on all rows.
    Without ``weight_decays`` they are those of ``weight_decay_grid``; with a single one nothing is
    held out.

    Raises UserError where a choice is asked for and no class has two rows.

    >>> probe = fit_linear_probe(features, labels, 10)  # doctest: +SKIP
    >>> probe.scores(test_features).argmax(1)  # doctest: +SKIP
    """
    mean, std = standardisation(x)
    order, held = stratified_order(y, held_out, seed)
    x, y = ((x - mean) / std)[order], y[order]
    scaling = preconditioner(x, torch_generator(seed, "linear probe: preconditioner"))
    decays = torch.tensor(weight_decays or weight_decay_grid(*x.shape), dtype=torch.float64)
    selection, start, chosen = None, None, 0
    if len(decays) > 1:
        if held == 0:
            raise UserError(
                "a weight decay cannot be chosen: every class has a single training image, "
                "so none can be held out",
                fix="one weight decay instead of several",
            )
        fitted, rest = (x[:-held], y[:-held]), (x[-held:], y[-held:])
        selection, candidates = _select(fitted, rest, num_classes, decays, scaling)
        chosen = selection.chosen
        start = candidates.weight[chosen, None], candidates.bias[chosen, None]
    fit = fit_logistic(
        x, y, num_classes, decays[chosen, None], scaling, start=start, tolerance=TOLERANCE
    )
    return LinearProbe(
        mean,
        std,
        fit.weight[0].to(x.dtype),
        fit.bias[0].to(x.dtype),
        float(decays[chosen]),
        selection,
        float(fit.gradients[0]),
        int(fit.iterations[0]),
    )


def _select(
    fitted: tuple[Tensor, Tensor],
    rest: tuple[Tensor, Tensor],
    num_classes: int,
    decays: Tensor,
    scaling: Preconditioner,
) -> tuple[Selection, LogisticFit]:
    """Fit on ``fitted`` with every weight decay and compare on ``rest``."""
    fit = fit_logistic(*fitted, num_classes, decays, scaling, tolerance=SELECTION_TOLERANCE)
    x, y = rest
    losses = cross_entropy(x, y, fit.weight, fit.bias)[0].tolist()
    weight, bias = fit.weight.to(x.dtype), fit.bias.to(x.dtype)
    hits = [
        ((x @ w + b).argmax(1) == y).double().mean().item()
        for w, b in zip(weight, bias, strict=True)
    ]
    chosen = min(range(len(hits)), key=lambda m: (-hits[m], losses[m]))
    decay_values = tuple(decays.tolist())
    return Selection(decay_values, tuple(hits), tuple(losses), chosen, len(y)), fit


class LinearOptions(Options):
    weight_decays: list[Weight] | None = Field(
        None, min_length=1, description="weight decays to choose from; null: a grid of eight"
    )
    held_out: float = Field(
        0.15, ge=0.001, le=0.999, description="part of train that the choice is made on"
    )


def _scores(
    options: LinearOptions, x: Tensor, y: Tensor, test_x: Tensor, classes: int, seed: int
) -> tuple[Tensor, Details]:
    probe = fit_linear_probe(
        x,
        y,
        classes,
        weight_decays=options.weight_decays,
        held_out=options.held_out,
        seed=seed,
    )
    notes: list[JsonValue] = ["features standardised with the mean and deviation of train"]
    details: Details = {
        "protocol": "linear",
        "classifier": "multinomial logistic regression: "
        "mean cross-entropy + weight_decay / 2 · |W|², the bias not decayed",
        "optimiser": f"L-BFGS, to a largest gradient of {TOLERANCE:g}",
        "weight_decay": probe.weight_decay,
        "iterations": probe.iterations,
        "selection": "none: the weight decay was given",
        "seed": seed,
        "notes": notes,
    }
    if (selection := probe.selection) is not None:
        details["selection"] = (
            f"highest top-1 on {selection.rows} stratified held-out images of train (fraction "
            f"{options.held_out:g}), a tie by lower cross-entropy; then fitted on all of train"
        )
        details["weight_decays"] = list(selection.weight_decays)
        details["held_out_top1"] = list(selection.top1)
        if selection.chosen in (0, len(selection.weight_decays) - 1):
            notes.append("the chosen weight decay is at the end of those tried")
    if probe.gradient > TOLERANCE:
        notes.append(f"the fit stopped early, at a largest gradient of {probe.gradient:.2g}")
    return probe.scores(test_x), details


LINEAR = ProbeRow(
    name="linear",
    summary="logistic regression, its weight decay chosen on a held-out part of train",
    options=LinearOptions,
    scores=_scores,
    phrase="A linear probe",
)
