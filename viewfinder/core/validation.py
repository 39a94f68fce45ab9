"""From what pydantic finds wrong to the one message that a user reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from viewfinder.core.errors import UserError, brief, nearest


def readable(
    error: ValidationError, keys: Mapping[str, str], prefix: tuple[str, ...] = ()
) -> UserError:
    """The first problem of a validation error, by its dotted key.

    keys: all that there are, with their descriptions; prefix: where the model stands.
    """
    problem = error.errors()[0]
    cause = (problem.get("ctx") or {}).get("error")
    if isinstance(cause, UserError):
        return cause
    key = ".".join(str(step) for step in (*prefix, *problem["loc"]))
    if problem["type"] == "extra_forbidden":
        key = brief(key)
        guess = nearest(key, keys)
        hint = f"Did you mean {guess}?" if guess else "docs/recipe.md lists every key."
        return UserError(f"unknown key {key}. {hint}")
    while key not in keys and key.rpartition(".")[0] in keys and not key[-1].isdigit():
        key = key.rpartition(".")[0]  # which kind of value of several was tried is no key
    meaning = f" ({keys[key]})" if keys.get(key) else ""
    msg = problem["msg"].removeprefix("Value error, ")
    met = brief(repr(problem["input"]))
    return UserError(f"{brief(key)} is {met}: {brief(msg)}{meaning}", fix=_within(key, problem))


def _within(key: str, problem: Mapping[str, Any]) -> str | None:
    """The nearest value inside the bound that was broken, as key=value."""
    bounds = problem.get("ctx") or {}
    for name in ("ge", "le"):
        if name in bounds:
            return f"{key}={bounds[name]:g}"
    if "gt" in bounds and isinstance(problem["input"], int):
        return f"{key}={bounds['gt'] + 1:g}"
    return None
