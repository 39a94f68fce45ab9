"""The steps of a view as data: a list of rows with their options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from viewfinder.core.errors import UserError, in_words
from viewfinder.core.table import Options, R, Table
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step


@dataclass(frozen=True)
class Item:
    """A step of a list: its row and its options."""

    step: Step
    options: Options

    @property
    def p(self) -> float | None:
        """The probability that it is applied to a sample; None: it always is."""
        p: float | None = getattr(self.options, "p", None)
        return p

    @property
    def idle(self) -> bool:
        """Whether it is never applied."""
        return self.p == 0

    def plain(self) -> str | dict[str, Any]:
        """As it is written in a recipe, with every option."""
        options = self.options.model_dump(mode="json")
        return {self.step.name: options} if options else self.step.name


Items = tuple[Item, ...]


@dataclass(frozen=True)
class ViewSpec:
    """One view as data: its steps, and what they are applied to, at the size of the view."""

    items: Items
    domain: Domain


def choose(table: Table[R], given: Any) -> tuple[R, dict[str, Any]]:
    """Row and options of ``name``, ``name:VALUE``, {name: value} or {name: {option: value}}.

    The options are as given, not yet checked. Raises UserError for an unknown name, for several
    names, and for a value where the row has no bare option.

    >>> choose(STEPS, {"grey": 0.2})  # doctest: +SKIP
    (Step(name='grey', ...), {'p': 0.2})
    """
    if isinstance(given, str):
        name, options = table.parse(given)
        return table.find(name), options
    if not isinstance(given, Mapping) or len(given) != 1:
        raise UserError(
            f"{in_words(given)} is no {table.kind}: a name, or a name with its value, is expected",
            fix=f"{next(iter(table))}, or {{{next(iter(table))}: ...}}",
        )
    ((name, value),) = given.items()
    row = table.find(str(name))
    if value is None:
        return row, {}
    if isinstance(value, Mapping):
        return row, dict(value)
    if row.bare is None:
        option = next(iter(row.options.model_fields), None)
        raise UserError(
            f"{table.kind} {name}: {in_words(value)}: its options are given by name",
            fix=f"{{{name}: {{{option}: ...}}}}" if option else str(name),
        )
    return row, {row.bare: value}


def overridden(items: Sequence[Item], step: Step, values: Mapping[str, Any]) -> Items:
    """The list with options of a step set, wherever it stands.

    A list without it gets one at its usual place: before the first step whose place is higher.
    Raises pydantic's ValidationError for bad values.
    """
    if all(item.step.name != step.name for item in items):
        at = next((i for i, item in enumerate(items) if item.step.place > step.place), len(items))
        items = [*items[:at], Item(step, step.options(**values)), *items[at:]]
        return tuple(items)
    return tuple(
        Item(step, step.options(**{**item.options.model_dump(), **values}))
        if item.step.name == step.name
        else item
        for item in items
    )


Factors = float | Mapping[str, float]
"""How strong steps are: a factor for all that have a strength, or one for each step by its name."""


def strengthened(items: Sequence[Item], factors: Factors) -> Items:
    """The list with its steps stronger or weaker: at 1 as it is, at 0 without any effect.

    A number is of all steps that have a strength; those that evaluation sees too have none.

    Raises UserError for a step by name that has no strength, is not in the list or is never
    applied, and for a factor that its options do not allow.

    >>> strengthened(items(["flip", {"grey": 0.2}]), {"grey": 2})[1].p  # doctest: +SKIP
    0.4
    """
    if not isinstance(factors, Mapping):
        return tuple(_at(item, factors) if item.step.scales else item for item in items)
    for name in factors:
        own = [item for item in items if item.step.name == name]
        if not own or all(item.idle for item in own):
            there = [i.step.name for i in items if i.step.scales and not i.idle]
            raise UserError(
                f"views.strength: these views have no step {in_words(name)} that is applied, so "
                f"nothing would change; there are: {', '.join(there) or 'none'}",
                fix=f"views.strength={{{there[0]}: {factors[name]:g}}}" if there else None,
            )
    return tuple(
        _at(item, factors[item.step.name]) if item.step.name in factors else item for item in items
    )


def _at(item: Item, factor: float) -> Item:
    """The step at a factor of its strength."""
    row = item.step
    if row.scales is None:
        raise UserError(
            f"views.strength: the step {row.name} has no strength: "
            + ("it is what the network takes, not a change by chance" if row.frozen else
               "its row declares none, and it has no probability"),
            fix=f"views.strength without {row.name}",
        )  # fmt: skip
    changed = row.scales.scaled(item.options, factor)
    try:
        return Item(row, row.options(**{**item.options.model_dump(), **changed}))
    except ValidationError as error:
        problem = error.errors()[0]
        option = str(problem["loc"][0])
        raise UserError(
            f"views.strength: at {factor:g} times its strength the step {row.name} would have "
            f"{option}={in_words(changed.get(option))}: {problem['msg']}",
            fix="a smaller strength",
        ) from error


def plain(items: Iterable[Item]) -> list[str | dict[str, Any]]:
    """The list as it is written in a recipe."""
    return [item.plain() for item in items]
