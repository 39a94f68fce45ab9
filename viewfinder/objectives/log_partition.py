"""The kernel of the contrastive family: log of the sum over all keys, without the full matrix.

    log_partition_i = log sum_{a in A(i)} exp( anchor_i . key_a / temperature )

Every contrastive loss here is this number minus the mean similarity to the positives. The matrix of
similarities is computed a block of anchors at a time, in the forward and once more in the backward
pass, and never kept: memory grows with A + K instead of A * K, and the gradients are those of the
dense form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

Temperature = float | Tensor
"""A number, or a tensor () that is learned."""

# Elements of one block of similarities: few beside the inputs of a large batch, and enough to keep
# all threads busy. Half as many or twice as many make little difference.
BLOCK = {"cpu": 1 << 22, "cuda": 1 << 26}


def log_partition(
    anchors: Tensor,
    keys: Tensor,
    temperature: Temperature,
    *,
    positive: Tensor | None = None,
    own: Tensor | None = None,
    anchor_group: Tensor | None = None,
    key_group: Tensor | None = None,
) -> Tensor:
    """log sum_a exp(anchors_i . keys_a / temperature) for each anchor: (A, D), (K, D) -> (A,).

    positive     int64 (A,), the position among the keys of the anchor's one positive: the result is
                 relative to it, -log softmax, and keeps its digits where it is close to 0
    own          int64 (A,), the position among the keys of the anchor itself, which is left out
    anchor_group int64 (A,), and key_group int64 (K,): keys of the anchor's group are left out, and
                 so is every key of group -1 (an empty slot)
    temperature  > 0, a number or a tensor () that is learned
    Where nothing is left the result is -inf, with gradient zero. Gradients flow into anchors, keys
    and temperature; float64 stays float64.
    """
    if (anchor_group is None) != (key_group is None):
        raise ValueError("anchor_group and key_group go together")
    dtype = torch.promote_types(anchors.dtype, keys.dtype)
    # divided out here, where autograd knows the temperature's gradient
    scaled = anchors.to(dtype) / temperature
    return _LogPartition.apply(scaled, keys.to(dtype), positive, own, anchor_group, key_group)


def log_partition_within(z: Tensor, temperature: Temperature, *, paired: bool = False) -> Tensor:
    """log sum_{b != a} exp(z_a . z_b / temperature) for each row of unit vectors z: (M, D) -> (M,).

    ``paired``: row a and row a + M/2 are each other's one positive, and the result is relative to
    it. The matrix is symmetric, so each pair is computed once. Without subtracting a maximum this
    is exact as long as exp(+-1/temperature) is far from the ends of the number range; below that
    temperature the general form is used.
    """
    number = temperature.item() if isinstance(temperature, Tensor) else temperature
    if 1 / number < (40 if z.dtype == torch.float32 else 300):
        return _LogPartitionWithin.apply(z, temperature, len(z) // 2 if paired else None)
    own = torch.arange(len(z), device=z.device)
    positive = own.roll(len(z) // 2) if paired else None
    return log_partition(z, z, temperature, positive=positive, own=own)


def row_blocks(
    rows: int, columns: int, device: torch.device, largest: int | None = None
) -> Iterator[slice]:
    """Slices over ``rows`` such that a block of full rows has about BLOCK elements."""
    size = BLOCK.get(device.type, BLOCK["cuda"]) // max(1, columns)
    size = max(1, size if largest is None else min(size, largest))
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def full_precision(x: Tensor) -> torch.autocast:
    """Similarities divided by a small temperature do not survive autocast's 8-bit mantissa."""
    return torch.autocast(x.device.type, enabled=False)


def exact_product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b in the precision of a, also where autocast is on, forward and backward."""
    product: Tensor = _Product.apply(a, b.to(a.dtype))
    return product


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        with full_precision(a):
            return a @ b

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        with full_precision(a):
            return (
                gradient @ b.mT if ctx.needs_input_grad[0] else None,
                a.mT @ gradient if ctx.needs_input_grad[1] else None,
            )


def refuse_second_derivative() -> None:
    # The blocks leave no graph behind, so it would come out wrong without a word.
    if torch.is_grad_enabled():
        raise RuntimeError("contrastive losses have no second derivative here: no create_graph")


class _LogPartition(torch.autograd.Function):
    """Of anchors that are divided by the temperature already."""

    @staticmethod
    def forward(
        ctx: Any,
        scaled: Tensor,
        keys: Tensor,
        positive: Tensor | None,
        own: Tensor | None,
        anchor_group: Tensor | None,
        key_group: Tensor | None,
    ) -> Tensor:
        result = scaled.new_empty(len(scaled))
        lowest = torch.finfo(scaled.dtype).min
        with full_precision(scaled):
            for rows in row_blocks(len(scaled), len(keys), keys.device):
                s = _similarities(scaled, keys, rows, positive, own, anchor_group, key_group)
                top = s.amax(dim=1, keepdim=True).clamp_(min=lowest)
                result[rows] = s.sub_(top).exp_().sum(dim=1).log_().add_(top.squeeze(1))
        ctx.save_for_backward(scaled, keys, result, positive, own, anchor_group, key_group)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        scaled, keys, result, positive, own, anchor_group, key_group = ctx.saved_tensors
        to_scaled = torch.empty_like(scaled) if ctx.needs_input_grad[0] else None
        to_keys = torch.zeros_like(keys) if ctx.needs_input_grad[1] else None
        floor = result.clamp(min=torch.finfo(scaled.dtype).min)
        with full_precision(scaled):
            for rows in row_blocks(len(scaled), len(keys), keys.device):
                s = _similarities(scaled, keys, rows, positive, own, anchor_group, key_group)
                weights = s.sub_(floor[rows, None]).exp_().mul_(gradient[rows, None])
                if positive is not None:
                    weights.scatter_add_(1, positive[rows, None], -gradient[rows, None])
                if to_scaled is not None:
                    torch.mm(weights, keys, out=to_scaled[rows])
                if to_keys is not None:
                    to_keys.addmm_(weights.T, scaled[rows])
        return to_scaled, to_keys, None, None, None, None


def _similarities(
    scaled: Tensor,
    keys: Tensor,
    rows: slice,
    positive: Tensor | None,
    own: Tensor | None,
    anchor_group: Tensor | None,
    key_group: Tensor | None,
) -> Tensor:
    s = scaled[rows] @ keys.T
    if positive is not None:
        s.sub_(s.gather(1, positive[rows, None]))
    if own is not None:
        s.scatter_(1, own[rows, None], float("-inf"))
    if anchor_group is not None and key_group is not None:
        s.masked_fill_((anchor_group[rows, None] == key_group) | (key_group == -1), float("-inf"))
    return s


class _LogPartitionWithin(torch.autograd.Function):
    """A block holds some rows against themselves and all later rows.

    ``distance`` in rows to the one positive, if any. No block has more than half of the rows, so it
    holds each pair of positives once, and half of the work is saved.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, temperature: Temperature, distance: int | None) -> Tensor:
        ctx.temperature = temperature.detach() if isinstance(temperature, Tensor) else temperature
        scaled = z / ctx.temperature
        sums, positives = torch.zeros_like(z[:, 0]), torch.ones_like(z[:, 0])
        with full_precision(z):
            for rows in row_blocks(len(z), len(z), z.device, largest=len(z) // 2):
                e = _exponentials(scaled, z, rows)
                sums[rows] += e.sum(dim=1)
                sums[rows.stop :] += e[:, rows.stop - rows.start :].sum(dim=0)
                if distance is not None:
                    pairs = e.diagonal(distance)
                    positives[rows.start : rows.start + len(pairs)] = pairs
        if distance is not None:
            positives[distance:] = positives[:distance]
        ctx.distance = distance
        ctx.save_for_backward(z, sums)
        return (sums / positives).log_()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        refuse_second_derivative()
        z, sums = ctx.saved_tensors
        scaled = z / ctx.temperature
        # d log(sum_a) / d e_ab; a pair counts once for a and once for b
        each = gradient / sums
        pulls = None
        if ctx.distance is not None:
            pulls = gradient[: ctx.distance] + gradient[ctx.distance :]
        to_z = torch.zeros_like(z)
        with full_precision(z):
            for rows in row_blocks(len(z), len(z), z.device, largest=len(z) // 2):
                weights = _exponentials(scaled, z, rows)
                weights.mul_(each[rows, None] + each[rows.start :])
                if pulls is not None:
                    pairs = weights.diagonal(ctx.distance)
                    pairs.sub_(pulls[rows.start : rows.start + len(pairs)])
                to_z[rows].addmm_(weights, scaled[rows.start :])
                later = weights[:, rows.stop - rows.start :]
                to_z[rows.stop :].addmm_(later.T, scaled[rows])
        # the loss depends on z_a . z_b / temperature alone, which is of degree 2 in z and -1 in the
        # temperature: Euler's theorem gives the one gradient from the other
        to_temperature = None
        if ctx.needs_input_grad[1]:
            to_temperature = (to_z * z).sum() / (-2 * ctx.temperature)
        return to_z, to_temperature, None


def _exponentials(scaled: Tensor, z: Tensor, rows: slice) -> Tensor:
    e = (scaled[rows] @ z[rows.start :].T).exp_()
    e.diagonal().zero_()  # a row is not a key of its own
    return e
