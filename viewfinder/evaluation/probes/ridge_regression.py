"""Ridge regression on frozen features, in float64, its penalty chosen on held-out rows of train.

For features x (n, D) and targets y (n, K), over W (D, K) and a bias b (K,) that is not penalised,

    mean_i ‖y_i − x_i W − b‖²  +  λ ‖W‖².

scikit-learn's ``Ridge(alpha=a)`` on n rows is λ = a/n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from viewfinder.core.randomness import torch_generator
from viewfinder.evaluation.probes.linear_probe import standardisation

PENALTIES: tuple[float, ...] = tuple(float(f"{10 ** (i / 2):.3g}") for i in range(-12, 5))
"""The penalties tried on standardised features: half decades from 1e-6 to 100."""


@dataclass(frozen=True)
class RidgeSelection:
    """How a penalty was chosen: for each the mean squared error on the ``rows`` held-out rows;
    ``chosen`` indexes ``penalties``."""

    penalties: tuple[float, ...]
    squared_error: tuple[float, ...]
    chosen: int
    rows: int


@dataclass(frozen=True)
class RidgeProbe:
    """A fitted regression: weight (D, K) and bias (K,), float64, act on (x − mean) / std."""

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor
    penalty: float
    selection: RidgeSelection | None

    def predict(self, x: Tensor) -> Tensor:
        """Predictions float64 (n, K) of features x (n, D)."""
        return ((x.double() - self.mean) / self.std) @ self.weight + self.bias


def fit_ridge(x: Tensor, y: Tensor, penalties: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The exact minimum for each of M penalties: weights (M, D, K) and biases (M, K), float64.

    x (n, D) and y (n, K), real; penalties positive. One eigendecomposition of the smaller of
    XᵀX/n and XXᵀ/n (centred) serves all penalties.

    Raises ValueError for penalties that are not positive, or shapes that do not fit.

    >>> weight, bias = fit_ridge(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [2.0]]), [1.0])
    >>> weight.flatten().tolist(), bias.flatten().tolist()
    ([0.5], [0.5])
    """
    if not all(penalty > 0 and math.isfinite(penalty) for penalty in penalties) or not penalties:
        raise ValueError(f"penalties must be positive, got {list(penalties)}")
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) == 0:
        raise ValueError(f"x (n, D) and y (n, K) are expected, got {(*x.shape,)} and {(*y.shape,)}")
    x, y = x.double(), y.double()
    rows, dim = x.shape
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    gram = (x.T @ x if dim <= rows else x @ x.T) / rows
    values, vectors = torch.linalg.eigh(gram)
    right = (x.T @ y if dim <= rows else y) / rows
    scale = 1 / (values.clamp_min(0) + values.new_tensor(list(penalties))[:, None])
    weight = vectors @ (scale[:, :, None] * (vectors.T @ right))
    if dim > rows:
        weight = x.T @ weight
    return weight, y_mean - torch.einsum("d,mdk->mk", x_mean, weight)


def fit_ridge_probe(
    x: Tensor,
    y: Tensor,
    *,
    penalties: Sequence[float] = PENALTIES,
    held_out: float = 0.15,
    seed: int = 0,
) -> RidgeProbe:
    """Choose a penalty on a held-out part of the rows, then fit on all of them.

    x (n, D) float features, standardised with their own mean and deviation; y (n, K). The penalty
    with the least mean squared error, over all columns of y, on a random part ``held_out`` of
    the rows wins; with a single penalty nothing is held out.

    Raises ValueError where a choice is asked for and there are fewer than 3 rows.

    >>> probe = fit_ridge_probe(features, positions)  # doctest: +SKIP
    >>> r_squared(test_positions, probe.predict(test_features))  # doctest: +SKIP
    """
    mean, std = standardisation(x.double())
    z, y = (x.double() - mean) / std, y.double()
    selection, chosen = None, 0
    if len(penalties) > 1:
        if len(z) < 3:
            raise ValueError(f"{len(z)} rows are too few to hold some out")
        generator = torch_generator(seed, "ridge probe: held-out rows")
        order = torch.randperm(len(z), generator=generator).to(z.device)
        held = max(1, round(held_out * len(z)))
        rest, fitted = order[:held], order[held:]
        weight, bias = fit_ridge(z[fitted], y[fitted], penalties)
        errors = [
            (z[rest] @ w + b - y[rest]).square().sum(1).mean().item()
            for w, b in zip(weight, bias, strict=True)
        ]
        chosen = min(range(len(errors)), key=errors.__getitem__)
        selection = RidgeSelection(tuple(penalties), tuple(errors), chosen, held)
    weight, bias = fit_ridge(z, y, penalties[chosen : chosen + 1])
    return RidgeProbe(mean, std, weight[0], bias[0], float(penalties[chosen]), selection)


def r_squared(y: Tensor, prediction: Tensor) -> float:
    """R² = 1 − Σ‖y − ŷ‖² / Σ‖y − ȳ‖² over all rows and columns of y (n, K), at most 1.

    ȳ is the mean of these rows; with several columns this is their R² weighted by their variance.

    >>> r_squared(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [1.0]]))
    0.5
    """
    y = y.double()
    left, total = (y - prediction).square().sum(), (y - y.mean(0)).square().sum()
    return 1 - (left / total).item()


def absolute_error(y: Tensor, prediction: Tensor) -> float:
    """The mean of |y − ŷ| over all rows and columns, in the unit of y."""
    return (y.double() - prediction).abs().mean().item()


def mean_distance(y: Tensor, prediction: Tensor) -> float:
    """The mean of ‖y − ŷ‖ over the rows of (n, K), in the unit of y.

    >>> mean_distance(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    5.0
    """
    return (y.double() - prediction).norm(dim=1).mean().item()


def on_circle(angle: Tensor, period: float) -> Tensor:
    """The cosine and sine (n, 2), float64, of angles (n,) of which ``period`` is a full turn."""
    turn = angle.double() * (2 * math.pi / period)
    return torch.stack([turn.cos(), turn.sin()], dim=1)


def angular_error(angle: Tensor, prediction: Tensor, period: float) -> float:
    """The mean distance on the circle from angles (n,) to the directions of prediction (n, 2),
    in the unit of ``period``: at most half of it.

    >>> angular_error(torch.tensor([350.0]), on_circle(torch.tensor([10.0]), 360), 360)  # of 360°
    20.0...
    """
    found = torch.atan2(prediction[:, 1], prediction[:, 0]) * (period / (2 * math.pi))
    apart = (angle.double() - found).remainder(period)
    return torch.minimum(apart, period - apart).mean().item()
