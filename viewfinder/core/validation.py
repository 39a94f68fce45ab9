"""What users give as typed data, and what pydantic finds wrong with it as the message they read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from viewfinder.core.errors import OptionError, UserError, brief, in_words, nearest_keys

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Data that users write: no NaN, no text without end, and no truth value for a number."""

    model_config = ConfigDict(allow_inf_nan=False, str_max_length=4_096)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, given: Any, info: ValidationInfo) -> Any:
        """Python counts true as 1, so ``epochs=true`` would be one epoch."""
        kinds = set(_kinds(cls.model_fields[info.field_name].annotation))  # type: ignore[index]
        values = given if isinstance(given, list | tuple) else [given]
        if kinds & {int, float} and bool not in kinds and any(type(v) is bool for v in values):
            raise ValueError("a number is expected, not true or false")
        return given


def _kinds(annotation: Any) -> Iterator[Any]:
    """All types that an annotation is made of."""
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


_PLAIN = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a finite number": "a finite number",
    "a valid boolean": "true or false",
    "a valid string": "text",
    "a valid tuple": "a list",
    "a valid list": "a list",
    "a valid dictionary": "a mapping of names to values",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
}


def expected(message: str) -> str:
    """What pydantic says of a value, as a person would.

    >>> expected("Input should be a valid integer, unable to parse string as an integer")
    'a whole number is expected'
    >>> expected("Input should be greater than or equal to 1")
    'at least 1 is expected'
    """
    found = re.search(r"Input should be (.*?)(, unable to .*|, got a number.*)?$", message)
    if found is None:
        return message.removeprefix("Value error, ")
    words = next((w + found[1][len(p) :] for p, w in _PLAIN.items() if found[1].startswith(p)), "")
    return f"{message[: found.start()]}{words or found[1]} is expected"


def readable(
    error: ValidationError, keys: Mapping[str, str], prefix: tuple[str, ...] = ()
) -> UserError:
    """The first problem of a validation error, by its dotted key.

    keys: all that there are, with their descriptions; prefix: where the model stands.
    """
    problem = error.errors()[0]
    cause = (problem.get("ctx") or {}).get("error")
    key = ".".join(str(step) for step in (*prefix, *problem["loc"]))
    if isinstance(cause, OptionError):
        return cause.within(f"{key}." if key else "")
    if isinstance(cause, UserError):
        return cause
    if problem["type"] == "extra_forbidden":
        return unknown_key(key, problem["input"], keys)
    while key not in keys and key.rpartition(".")[0] in keys and not key[-1].isdigit():
        key = key.rpartition(".")[0]  # which kind of value of several was tried is no key
    item = key not in keys and key.rpartition(".")[0] in keys  # a number of a list
    whole = key.rpartition(".")[0] if item else key
    meaning = f" ({keys[whole]})" if keys.get(whole) else ""
    msg = expected(problem["msg"])
    given = in_words(problem["input"])
    return UserError(
        f"{brief(key)} is {given}: {msg}{meaning}",
        fix=None if item else _within(key, problem),
    )


def given(options: type[M], **values: Any) -> M:
    """Options from the arguments of a function; raises UserError that names the argument.

    >>> from pydantic import Field
    >>> class Loss(Strict):
    ...     temperature: float = Field(0.1, ge=0.001, description="of the scores")
    >>> given(Loss, temperature=0)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UserError: temperature is 0: ... (of the scores). Try: temperature=0.001
    """
    try:
        return options(**values)
    except ValidationError as error:
        known = {name: field.description or "" for name, field in options.model_fields.items()}
        raise readable(error, known) from error


def unknown_key(key: str, value: Any, keys: Mapping[str, str]) -> UserError:
    """The error for a key that there is not: names those that were probably meant."""
    while isinstance(value, Mapping) and value:  # of an unknown part, its first key
        inner, value = next(iter(value.items()))
        key = f"{key}.{inner}"
    guesses = nearest_keys(key, keys)
    if not guesses:
        return UserError(f"unknown key {brief(key)}. docs/recipe.md lists every key.")
    plain = isinstance(value, str | int | float) and len(str(value)) < 50
    told = [f"{guess}={value}" if plain else guess for guess in guesses]
    return UserError(f"unknown key {brief(key)}. Did you mean {' or '.join(told)}?")


def _within(key: str, problem: Mapping[str, Any]) -> str | None:
    """The nearest value inside the bound that was broken, as key=value."""
    bounds = problem.get("ctx") or {}
    for name in ("ge", "le"):
        if name in bounds:
            return f"{key}={bounds[name]}"
    if "gt" in bounds and isinstance(problem["input"], int):
        return f"{key}={bounds['gt'] + 1:g}"
    return None
