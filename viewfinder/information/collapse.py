"""Collapse: representations that have lost their variety, seen in their spread and their rank."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from viewfinder.core.vectors import unit

COLLAPSED_STD = 0.01
COLLAPSED_RANK = 1.5


def feature_std(z: Tensor) -> Tensor:
    """Spread of the directions of features z (N, D), a scalar between 0 and 1.

    mean_d std_n(z_nd / ‖z_n‖) · √D, as in Chen and He (2021, section 4.1), where features spread
    evenly over the sphere have 1/√D in every dimension: 1 is isotropic, 0 a single direction for
    all data. The standard deviation is that of the population (divisor N). The scale of the
    features does not matter, however small or large; a row of zeros has no direction and stays 0.

    Raises ValueError unless z is a matrix with at least one row.
    """
    z = _matrix(z)
    return unit(z).std(0, correction=0).mean() * math.sqrt(z.shape[1])


def rankme(z: Tensor, eps: float = 1e-7) -> Tensor:
    """Effective rank of features z (N, D), a scalar between 1 and min(N, D); 0 where z is all zero.

    exp(−Σ p_k ln p_k) with p_k = σ_k / Σσ + eps over the singular values σ of z, not centred:
    RankMe, Garrido et al. (2023, equation 1). Some thousand rows are enough for a stable value.

    Raises ValueError unless z is a matrix with at least one row.
    """
    z = _matrix(z)
    if not bool(z.isfinite().all()):
        return z.new_full((), torch.nan)
    singular = torch.linalg.svdvals(z)
    total = singular.sum()
    if total == 0:
        return total
    p = singular / total + eps
    return torch.exp(-torch.xlogy(p, p).sum())


def diagnose(std: float, rank: float, dim: int) -> str | None:
    """What is wrong with features of ``dim`` dimensions with this ``feature_std`` and ``rankme``,
    and what usually helps; None where they have not collapsed.

    Collapsed is a standard deviation below 0.01 (the directions of all images agree to about a
    degree) or, from three dimensions on, an effective rank below 1.5 (one direction carries all).
    Untrained networks are above both: their features share a large mean but vary around it.
    """
    if not (math.isfinite(std) and math.isfinite(rank)):
        return (
            f"the features are not finite (std {std}, rank {rank}). What usually helps: a lower "
            "learning rate, a longer warm-up, a higher temperature, or precision=32."
        )
    seen = f"std of the normalised features {std:.4f}, effective rank {rank:.1f} of {dim}"
    if std < COLLAPSED_STD:
        return (
            f"the encoder has collapsed: it gives nearly the same vector for every image ({seen}). "
            "What usually helps: a lower learning rate or a longer warm-up; batch-norm in the "
            "head; for methods without negatives a predictor and a momentum (or stopped) target; "
            "for contrastive ones more negatives or a larger batch."
        )
    if dim > 2 and rank < COLLAPSED_RANK:
        return (
            f"the encoder has collapsed onto a single direction ({seen}). What usually helps: a "
            "lower learning rate, a larger batch, stronger augmentation, less weight decay, or an "
            "objective that keeps the dimensions apart (negatives or a variance term)."
        )
    return None


def _matrix(z: Tensor) -> Tensor:
    if z.ndim != 2 or len(z) == 0:
        raise ValueError(f"features (N, D) with N ≥ 1 are expected, got {tuple(z.shape)}")
    return z if z.dtype in (torch.float32, torch.float64) else z.float()
