"""The part of a recipe that says what is added to the objective, typed from the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import (
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from viewfinder.core.errors import UserError, nearest
from viewfinder.core.ranges import Weight
from viewfinder.core.validation import readable
from viewfinder.recipes.parts import Part
from viewfinder.regularizers.contract import RegularizerOptions
from viewfinder.regularizers.noise import DEFAULT_NOISE
from viewfinder.regularizers.table import REGULARIZERS


class Regularizers(Part):
    """What is added to the objective; ``regularizers=rc+lbe`` is both, with a weight of 1."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, SerializeAsAny[RegularizerOptions]] = Field(init=False)
    noise: Weight | None = Field(
        None, description="standard deviation of the noise on the features that the head and lbe "
        f"see in training; null: {DEFAULT_NOISE} with "
        f"{' or '.join(row.name for row in REGULARIZERS.values() if row.noise)}, else 0"
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, given: Any) -> Any:
        """Names alone are regularizers with their defaults, null is none, a number a weight."""
        if isinstance(given, str) or given is None:
            words = [word.strip() for word in (given or "none").split("+")]
            given = [word for word in words if word != "none"]
        if isinstance(given, list):
            given = {str(name): {} for name in given}
        if not isinstance(given, Mapping):
            return given
        fields = cls.model_fields
        options = {n: _options(str(n), value) for n, value in given.items() if n not in fields}
        kept = {n: value for n, value in given.items() if n in fields}
        return kept | {name: value for name, value in options.items() if value is not None}

    @property
    def chosen(self) -> dict[str, RegularizerOptions]:
        """Which are used, those with a weight above 0, with their options; in the table's order."""
        given = self.model_extra or {}
        return {name: given[name] for name in REGULARIZERS if name in given and given[name].used}

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise on the features."""
        if self.noise is not None:
            return self.noise
        return DEFAULT_NOISE if any(REGULARIZERS[name].noise for name in self.chosen) else 0.0

    def __str__(self) -> str:
        """What is used, with weights and whatever is set: "rc 1 + lbe 0.1 (rho 0.3)"."""
        words = []
        for name, own in self.chosen.items():
            options = own.model_dump(exclude_defaults=True, exclude={"weight"})
            told = ", ".join(f"{key} {value}" for key, value in options.items())
            words.append(f"{name} {weight_in_words(own.weight)}" + (f" ({told})" if told else ""))
        if self.noise is not None:
            words.append(f"noise {self.noise:g}")
        return " + ".join(words) or "none"


def weight_in_words(weight: Any) -> str:
    """
    >>> weight_in_words(0.10), weight_in_words((1.0, 0.5))
    ('0.1', '[1,0.5]')
    """
    if isinstance(weight, list | tuple):
        return f"[{','.join(f'{one:g}' for one in weight)}]"
    return f"{weight:g}"


def _options(name: str, given: Any) -> RegularizerOptions | None:
    """The options of the row of that name; raises UserError for another, and for what is wrong."""
    if name not in REGULARIZERS:
        guess = nearest(name, [*REGULARIZERS, *Regularizers.model_fields])
        hint = f"Did you mean regularizers.{guess}?" if guess else "docs/recipe.md lists every key."
        raise UserError(f"unknown key regularizers.{name}. {hint}")
    row = REGULARIZERS[name]
    if given is None or isinstance(given, RegularizerOptions):
        return given
    if not isinstance(given, Mapping):
        given = {row.bare: given}
    try:
        return row.options.model_validate(given)
    except ValidationError as error:
        raise readable(error, keys(), prefix=("regularizers", name)) from error


def keys() -> dict[str, str]:
    """The dotted keys of every row of the table with their descriptions."""
    found = {}
    for row in REGULARIZERS.values():
        found[f"regularizers.{row.name}"] = row.summary
        for key, field in row.options.model_fields.items():
            found[f"regularizers.{row.name}.{key}"] = field.description or ""
    return found
