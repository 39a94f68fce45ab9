"""Checks of what is given to a function that anybody may call: words, and tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, get_args

from torch import Tensor

from viewfinder.core.errors import UserError, in_words, nearest

_WHOLE = "whole numbers, such as torch.int64"


def check_word(name: str, given: Any, words: Any) -> None:
    """Raise UserError unless ``given`` is one of a Literal's words.

    >>> from typing import Literal
    >>> check_word("own", "kyes", Literal["keys", "rows"])  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UserError: own is 'kyes'; 'keys' or 'rows' is expected. Try: own='keys'
    """
    known = get_args(words)
    if not isinstance(given, str) or given not in known:
        guess = nearest(given, known) if isinstance(given, str) else None
        wanted = " or ".join(map(repr, known))
        fix = f"{name}={guess or known[0]!r}"
        raise UserError(f"{name} is {given!r}; {wanted} is expected", fix=fix)


def check_whole(name: str, given: Any, least: int = 1, most: int | None = None) -> None:
    """Raise UserError unless an argument is a whole number of a range.

    >>> check_whole("dim", -7)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UserError: dim is -7; a whole number, at least 1, is expected. Try: dim=1
    """
    whole = isinstance(given, Integral) and not isinstance(given, bool)
    if whole and least <= given and (most is None or given <= most):
        return
    bound = f"at least {least}" if most is None else f"from {least} to {most}"
    nearby = None if not whole else least if given < least else most
    raise UserError(
        f"{name} is {in_words(given)}; a whole number, {bound}, is expected",
        fix=None if nearby is None else f"{name}={nearby}",
    )


def check_between(name: str, given: Any, low: float, high: float, *, ends: bool = False) -> None:
    """Raise UserError unless an argument is a finite number between two; ``ends``: they count too.

    >>> check_between("rate", 2, 0, 1)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UserError: rate is 2; a number between 0 and 1 is expected
    """
    number = isinstance(given, Real) and not isinstance(given, bool) and math.isfinite(given)
    if number and (low < given < high or (ends and given in (low, high))):
        return
    if math.isinf(high):
        bound = f"of at least {low:g}" if ends else f"above {low:g}"
    else:
        bound = f"from {low:g} to {high:g}" if ends else f"between {low:g} and {high:g}"
    raise UserError(f"{name} is {in_words(given)}; a number {bound} is expected")


def check_tensor(name: str, given: Any) -> None:
    """Raise ValueError for lists and arrays of numbers."""
    if not isinstance(given, Tensor):
        raise ValueError(
            f"{name} must be a tensor of {_WHOLE}, not {type(given).__name__}; give "
            f"torch.as_tensor({name})"
        )


def check_whole_numbers(name: str, given: Tensor) -> None:
    """Raise ValueError unless a tensor holds integers: of floats the fraction would be lost, and a
    mask is no list of positions."""
    check_tensor(name, given)
    kind = given.dtype
    if kind.is_floating_point or kind.is_complex or str(kind) == "torch.bool":
        raise ValueError(f"{name} must be {_WHOLE}, not {kind}")


def check_zeros_and_ones(name: str, given: Tensor) -> None:
    """Raise ValueError unless a tensor (N, T), T >= 1, holds 0 and 1, or bools."""
    right = given.ndim == 2 and given.shape[1] > 0
    if not right or not bool(((given == 0) | (given == 1)).all()):
        raise ValueError(
            f"{name} must be (N, T) of 0 and 1, T at least 1, not {given.dtype} "
            f"{tuple(given.shape)}"
        )


def check_classes(labels: Tensor, classes: int) -> None:
    """Raise ValueError for labels that are none of so many classes, -1 (unknown) among them; also
    on a GPU, where torch itself would end the process."""
    low, high = (int(x) for x in labels.aminmax()) if len(labels) else (0, 0)
    if low < 0 or high >= classes:
        raise ValueError(
            f"labels run from {low} to {high}, but {classes} logits allow 0 to {classes - 1}"
        )


def check_same_device(name: str, given: Tensor, other: str, where: Tensor) -> None:
    """Raise ValueError where two tensors that meet are on different devices."""
    if given.device != where.device:
        raise ValueError(
            f"{name} is on {given.device}, {other} on {where.device}; one device is expected"
        )


def check_several(name: str, given: Any) -> None:
    """Raise ValueError unless ``given`` is a sequence of tensors, one (N, D) per view.

    A tensor is a sequence of its first dimension too: of one (N, V, D), as some code has it, the
    samples would be taken for the views.
    """
    if isinstance(given, Tensor):
        raise ValueError(
            f"{name} must be a list with one tensor (N, D) for each view, not one tensor "
            f"{tuple(given.shape)}; of one (N, V, D) give list(x.unbind(1))"
        )
    if not isinstance(given, Sequence) or not all(isinstance(x, Tensor) for x in given):
        raise ValueError(f"{name} must be a list with one tensor (N, D) for each view")
