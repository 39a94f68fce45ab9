"""The short keys that override options of the steps of views: ``views.blur_sigma``, and the like.

They are made of the table of steps: ``<step>_<option>`` for every option, and ``<step>`` for the
one that the step's name alone sets.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any, Optional

from pydantic import Field, create_model

from viewfinder.core.errors import UserError
from viewfinder.recipes.parts import Part
from viewfinder.views.contract import Step
from viewfinder.views.items import ViewSpec
from viewfinder.views.table import STEPS

OWN = ("first", "second")


def short_key(step: Step, option: str) -> str:
    """The key below ``views`` that overrides an option of a step: ``blur_sigma``."""
    prefix = step.name if step.prefix is None else step.prefix
    return f"{prefix}_{option}" if prefix else option


def short_keys() -> dict[str, tuple[Step, str]]:
    """Step and option of every key that overrides one."""
    return {
        short_key(step, option): (step, option)
        for step in STEPS.values()
        for option in step.options.model_fields
    }


def bare_keys() -> dict[str, str]:
    """The keys that a step's name alone stands for: {"jitter": "jitter_strength", ...}."""
    return {
        step.name: short_key(step, step.bare) for step in STEPS.values() if step.bare is not None
    }


def overrides_model() -> type[Part]:
    """A part with every key that overrides an option of a step, each null by default."""
    return _overrides_model(tuple(STEPS.values()))


@functools.cache
def _overrides_model(steps: tuple[Step, ...]) -> type[Part]:
    fields: dict[str, Any] = {}
    for step in steps:
        for option, field in step.options.model_fields.items():
            kind: Any = field.annotation
            for check in field.metadata:
                kind = Annotated[kind, check]
            told = Field(None, description=field.description)
            fields[short_key(step, option)] = (Optional[kind], told)  # noqa: UP045
    return create_model("Overrides", __base__=Part, **fields)


def further_keys() -> dict[str, str]:
    """The dotted keys of all overrides, with their descriptions."""
    fields = overrides_model().model_fields
    told = {key: field.description or "" for key, field in fields.items()}
    told |= {name: told[key] for name, key in bare_keys().items()}
    places = ("views", *(f"views.{own}" for own in OWN))
    return {f"{place}.{key}": words for place in places for key, words in told.items()}


def seen_keys(spec: ViewSpec) -> dict[str, Any]:
    """What says how an evaluation sees images: the size, and the keys of the steps it has too."""
    found: dict[str, Any] = {"size": spec.domain.size}
    for item in spec.items:
        if item.step.frozen:
            options = item.options.model_dump().items()
            found |= {short_key(item.step, option): value for option, value in options}
    return found


def spelled_out(given: Any) -> Any:
    """Views as given, with the long key for a step's name, and mappings for lists of one view.

    Raises UserError where both a step's name and the key it stands for are given.
    """
    if isinstance(given, list):
        return {"steps": given}
    if not isinstance(given, Mapping):
        return given
    long, found = bare_keys(), dict(given)
    for name in long.keys() & found.keys():
        if long[name] in found:
            raise UserError(
                f"views.{name} and views.{long[name]} are the same option, and both are given",
                fix=f"views.{long[name]} alone",
            )
        found[long[name]] = found.pop(name)
    for own in OWN:
        if isinstance(found.get(own), list | Mapping):
            found[own] = spelled_out(found[own])
    return found
