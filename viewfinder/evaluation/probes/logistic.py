"""Multinomial logistic regression, several weight decays at once.

Per weight decay λ, over weights W (D, C) and a bias b (C,) that is not decayed,

    mean_i −log softmax(x_i W + b)[y_i]  +  λ/2 ‖W‖².

scikit-learn's ``LogisticRegression(C=c)`` on n rows is λ = 1/(c n).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from viewfinder.evaluation.probes.lbfgs import minimise

BLOCK_VALUES = 2**19  # logits held at once; that, or
BLOCK_ROWS = 8192  # so many rows: with more of them CPU libraries slow down for few columns
FULL_RANK = 1024  # up to this many features all eigenvectors are cheap
LOW_RANK = 256
ROWS_PER_FEATURE = (
    16  # enough to learn the small eigenvalues, which decide how many passes it takes
)


@dataclass(frozen=True)
class Preconditioner:
    """An approximation of XᵀX/n: ``vectors`` (D, r) with ``values`` (r,), the rest all ``tail``.

    Böhning (1992): the Hessian of the cross-entropy is nowhere above ½ (I − 11ᵀ/C) ⊗ XᵀX/n. In
    the coordinates u = P^{1/2} w with P = ½ XᵀX/n + λ the problem is therefore well scaled for
    every λ, and one eigendecomposition serves them all.
    """

    vectors: Tensor
    values: Tensor
    tail: float

    def apply(self, w: Tensor, weight_decays: Tensor, power: float = -0.5) -> Tensor:
        """P^power w for w (M, D, K) and weight_decays (M,)."""
        tail = (0.5 * self.tail + weight_decays).pow(power)[:, None, None]
        scale = (0.5 * self.values + weight_decays[:, None]).pow(power)[:, :, None] - tail
        return tail * w + self.vectors @ (scale * (self.vectors.T @ w))


def preconditioner(x: Tensor, generator: torch.Generator) -> Preconditioner:
    """From rows x (n, D) with zero mean, by a random part of them where there are many.

    Up to 1024 features it has all eigenvectors, beyond that the leading 256 (by subspace iteration)
    and the mean of the other eigenvalues.
    """
    n, dim = x.shape
    if n > ROWS_PER_FEATURE * dim:
        order = torch.randperm(n, generator=generator).to(x.device)
        x = x[order[: ROWS_PER_FEATURE * dim]]
    if dim <= FULL_RANK:
        values, vectors = torch.linalg.eigh((x.T @ x).double() / len(x))
        return Preconditioner(vectors, values.clamp_min(0), 0.0)
    probe = torch.randn(dim, LOW_RANK, generator=generator).to(x)
    for _ in range(2):
        probe = torch.linalg.qr(x.T @ (x @ probe)).Q
    projected = (x @ probe).double()
    values, inner = torch.linalg.eigh(projected.T @ projected / len(x))
    total = x.square().sum(1, dtype=torch.float64).mean()
    tail = float((total - values.sum()).clamp_min(0)) / (dim - LOW_RANK)
    return Preconditioner(probe.double() @ inner, values.clamp_min(0), tail)


def cross_entropy(
    x: Tensor, y: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean cross-entropy of M classifiers on the same rows, with its gradients.

    x (n, D); y int64 (n,) in [0, C); weight (M, D, C); bias (M, C). Returns losses (M,), gradients
    (M, D, C) and (M, C), all float64. The rows go by blocks: memory does not grow with n.
    """
    models, dim, classes = weight.shape
    matrix = weight.permute(2, 0, 1).reshape(classes * models, dim).to(x.dtype).contiguous()
    offset = bias.T.reshape(classes * models, 1).to(x.dtype)
    loss = torch.zeros(models, dtype=torch.float64, device=x.device)
    by_weight = torch.zeros(classes * models, dim, dtype=x.dtype, device=x.device)
    by_bias = torch.zeros(classes * models, dtype=torch.float64, device=x.device)
    minus_one = torch.full((1,), -1.0, dtype=x.dtype, device=x.device)
    size = min(BLOCK_ROWS, max(256, BLOCK_VALUES // (classes * models)))
    for rows, targets in zip(x.split(size), y.split(size), strict=True):
        # classes first: softmax then runs along whole vectors of the same class
        logits = torch.addmm(offset, matrix, rows.T).view(classes, models * len(rows))
        target = targets.repeat(models)[None]
        normaliser = logits.logsumexp(0)
        gaps = normaliser - logits.gather(0, target)[0]
        loss += gaps.view(models, -1).sum(1, dtype=torch.float64)
        residual = logits.sub_(normaliser).exp_()
        residual.scatter_add_(0, target, minus_one.expand_as(target))
        residual = residual.view(classes * models, len(rows))
        by_weight.addmm_(residual, rows)
        by_bias += residual.sum(1, dtype=torch.float64)
    by_weight = by_weight.double().view(classes, models, dim).permute(1, 2, 0)
    return loss / len(x), by_weight / len(x), by_bias.view(classes, models).T / len(x)


@dataclass(frozen=True)
class LogisticFit:
    """M fitted classifiers: weight (M, D, C), bias (M, C), float64; losses (M,) with the penalty;
    gradients (M,): the largest absolute component left at the end; iterations (M,)."""

    weight: Tensor
    bias: Tensor
    losses: Tensor
    gradients: Tensor
    iterations: Tensor


def fit_logistic(
    x: Tensor,
    y: Tensor,
    num_classes: int,
    weight_decays: Tensor,
    scaling: Preconditioner,
    *,
    start: tuple[Tensor, Tensor] | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
) -> LogisticFit:
    """Fit one classifier per weight decay, all in the same passes over the data.

    x float (n, D) with columns of about zero mean; y int64 (n,) in [0, num_classes); weight_decays
    (M,) positive; ``scaling`` from ``preconditioner``, which only makes it fast: the optimum
    is the same. ``start``: a weight (M, D, C) and bias (M, C) to begin from, zero otherwise. Ends
    when no component of the gradient exceeds ``tolerance`` in absolute value.
    """
    if not bool((weight_decays > 0).all()):
        raise ValueError(f"weight decays must be positive, got {weight_decays.tolist()}")
    models, dim = len(weight_decays), x.shape[1]
    decays = weight_decays.to(x.device, torch.float64)

    def weights_of(points: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        scaled = points.view(len(points), dim + 1, num_classes)
        return scaling.apply(scaled[:, :dim], decays[problems]), 2**0.5 * scaled[:, dim]

    def objective(points: Tensor, problems: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weight, bias = weights_of(points, problems)
        decay = decays[problems]
        loss, by_weight, by_bias = cross_entropy(x, y, weight, bias)
        loss = loss + 0.5 * decay * weight.square().sum((1, 2))
        by_weight = by_weight + decay[:, None, None] * weight
        largest = torch.maximum(by_weight.abs().amax((1, 2)), by_bias.abs().amax(1))
        scaled = torch.cat([scaling.apply(by_weight, decay), 2**0.5 * by_bias[:, None]], 1)
        return loss, scaled.flatten(1), largest

    origin = torch.zeros(models, (dim + 1) * num_classes, dtype=torch.float64, device=x.device)
    if start is not None:
        origin = torch.cat([scaling.apply(start[0], decays, 0.5), start[1][:, None] / 2**0.5], 1)
        origin = origin.flatten(1)
    minimum = minimise(
        objective,
        origin,
        tolerance=tolerance,
        max_iterations=max_iterations,
        noise=4 * torch.finfo(x.dtype).eps,
    )
    weight, bias = weights_of(minimum.points, torch.arange(models, device=x.device))
    return LogisticFit(weight, bias, minimum.values, minimum.residuals, minimum.iterations)
