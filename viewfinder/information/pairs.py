"""Pairs (x_i, y_i) from which information is estimated: arrays, and how columns are scaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from viewfinder.core.errors import UserError

Inputs = Literal["ranks", "standardised", "as-is"]
Map = Callable[[Tensor], Tensor]


class Pairs(Protocol):
    """N pairs. What ``draw`` gives may be random, as views are: another each time."""

    def __len__(self) -> int: ...

    def draw(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The x and the y of the pairs at ``index``, int64 (n,)."""
        ...

    def fitted(self, index: Tensor) -> Pairs:
        """The same pairs, scaled by what the pairs at ``index`` alone say of the scales."""
        ...


@dataclass(frozen=True)
class ArrayPairs:
    """Rows of x (N, D) and y (N, E), float32; ``inputs`` is what ``fitted`` makes of a column.

    ranks         normal quantiles of its ranks: outliers do no harm, and the information is the
                  same, since each column is mapped monotonically
    standardised  mean 0 and standard deviation 1
    as-is         nothing
    """

    x: Tensor
    y: Tensor
    inputs: Inputs = "ranks"

    def __len__(self) -> int:
        return len(self.x)

    def draw(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.x[index], self.y[index]

    def fitted(self, index: Tensor) -> ArrayPairs:
        fit = FITS[self.inputs]
        return replace(self, x=fit(self.x[index])(self.x), y=fit(self.y[index])(self.y))


@dataclass(frozen=True)
class Shuffled:
    """Pairs whose y are those of others: independent, with the same marginals."""

    pairs: Pairs
    partner: Tensor

    def __len__(self) -> int:
        return len(self.pairs)

    def draw(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, _ = self.pairs.draw(index, generator)
        _, y = self.pairs.draw(self.partner[index], generator)
        return x, y

    def fitted(self, index: Tensor) -> Shuffled:
        return replace(self, pairs=self.pairs.fitted(index))


def standardised(of: Tensor) -> Map:
    """x -> (x − mean) / standard deviation of the columns of ``of``; constant ones are centred."""
    mean, std = of.mean(0), of.std(0, correction=0)
    return lambda x: (x - mean) / torch.where(std == 0, 1, std)


def ranks(of: Tensor) -> Map:
    """x -> the normal quantiles of its ranks among the columns of ``of``, linear in between.

    What lies beyond is put at the end: the map is fixed before it sees other data, so information
    can only get lost there.
    """
    n = len(of)
    known = np.sort(of.double().numpy(), axis=0)
    quantile = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n).numpy()

    def apply(x: Tensor) -> Tensor:
        columns = zip(x.double().numpy().T, known.T, strict=True)
        made = np.stack([np.interp(column, own, quantile) for column, own in columns], 1)
        return torch.from_numpy(made).float()

    return apply


FITS: dict[str, Callable[[Tensor], Map]] = {
    "ranks": ranks,
    "standardised": standardised,
    "as-is": lambda of: lambda x: x,
}


def checked(value: Any, name: str) -> Tensor:
    """An array (N, D) or (N,) as float32 (N, D) on the CPU.

    Raises UserError for another shape or kind, for a value that is not finite, and for a column
    without any variation, which has no information: it names the columns.
    """
    try:
        array = (
            value.detach().cpu()
            if isinstance(value, Tensor)
            else torch.from_numpy(np.ascontiguousarray(value))
        )
    except TypeError:
        kind = getattr(value, "dtype", type(value).__name__)
        raise UserError(f"{name} holds {kind}; numbers (N, D) are expected") from None
    if array.is_complex() or array.ndim not in (1, 2) or 0 in array.shape:
        raise UserError(
            f"{name} is {array.dtype} of shape {tuple(array.shape)}; real numbers (N, D), a row "
            "for each pair, are expected",
            fix=f"{name}.reshape(len({name}), -1)" if array.ndim > 2 else None,
        )
    array = array[:, None] if array.ndim == 1 else array
    if not bool(array.isfinite().all()):
        bad = (~array.isfinite()).any(0).nonzero().squeeze(1)
        raise UserError(
            f"{name} has values that are not finite in {_columns(bad)} of {array.shape[1]}",
            fix="leave those rows or columns out, of x and y alike",
        )
    constant = (array == array[:1]).all(0).nonzero().squeeze(1)
    if len(constant):
        raise UserError(
            f"{name} is constant in {_columns(constant)} of {array.shape[1]}, which say nothing",
            fix="leave them out",
        )
    return array.float()


def _columns(which: Tensor) -> str:
    shown = ", ".join(map(str, which[:5].tolist())) + (", …" if len(which) > 5 else "")
    return f"column{'s' if len(which) > 1 else ''} {shown}"
