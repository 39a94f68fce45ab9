"""Every option of every row meets values that nobody means: refused by its key, or taken whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from viewfinder.core.errors import UserError
from viewfinder.core.table import _TABLES, Options
from viewfinder.data.sources.table import SOURCES, _own_options
from viewfinder.recipes.parts import Part
from viewfinder.recipes.recipe import Recipe, build, choices, nested, parts
from viewfinder.recipes.view_keys import short_key
from viewfinder.regularizers.table import REGULARIZERS
from viewfinder.views.table import SPLITS, STEPS


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


NUMBERS = [0, -1, 1, 0.5, 10**6 + 1, 10**12, 10**400, 1e-300, 1e-30, 1e30, -1e300, 1e308]
STRANGE = [float("nan"), float("inf"), -float("inf"), True, False, None, "", "1:30", "x" * 10**6]
NESTED = [
    [],
    [0],
    [1e9, 1e9],
    [True],
    deep(50),
    {},
    {"a": {"b": 1}},
    {"name": 0},
    [{}],
    ["x"] * 999,
]
VALUES = [*NUMBERS, *STRANGE, *NESTED, ["x"] * 999, "9" * 5000, b"\xff", object()]


def places() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that an option has, with what must be chosen for it to be there."""
    known = parts()
    for name in Recipe.model_fields:
        if name not in known:
            yield name, {}
    for name, part in known.items():
        for option in part.model_fields:
            yield f"{name}.{option}", {}
    for name, part in choices().items():
        for row in part.table.values():
            for option in row.options.model_fields:
                yield f"{name}.{option}", {name: {"name": row.name}}
    for step in STEPS.values():
        for option in step.options.model_fields:
            yield f"views.{short_key(step, option)}", {}
            yield f"views.second.{short_key(step, option)}", {}
    for regularizer in REGULARIZERS.values():
        yield f"regularizers.{regularizer.name}", {}
        for option in regularizer.options.model_fields:
            yield f"regularizers.{regularizer.name}.{option}", {}


PLACES = {f"{key}, {given}" if given else key: (key, given) for key, given in places()}


def outcome(overrides: dict[str, Any]) -> tuple[str, str]:
    """The recipe as it is saved and "", or "" and the message of its refusal; both in no time."""
    started = time.process_time()
    try:
        made = build("simclr", overrides).to_yaml(), ""
    except UserError as error:
        made = "", str(error)
    assert time.process_time() - started < 2
    assert len(made[0]) < 100_000
    assert len(made[1]) < 3_500
    return made


@pytest.mark.parametrize("place", PLACES)
def test_an_extreme_value_is_taken_whole_or_refused_by_its_key(place: str, tmp_path: Path) -> None:
    key, given = PLACES[place]
    part, _, option = key.rpartition(".")
    told = part if option == "name" else option.partition("_")[0]
    for value in VALUES:
        saved, refusal = outcome(nested([*given.items(), (key, value)]))
        assert saved or told in refusal, (str(value)[:80], refusal)
        if saved:
            (tmp_path / "recipe.yaml").write_text(saved)
            assert build(file=tmp_path / "recipe.yaml").to_yaml() == saved


def unbounded(kind: Any, metadata: tuple[Any, ...] = ()) -> bool:
    """Whether a number anywhere in a type may be as large or as small as one likes."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return unbounded(inner[0], (*metadata, *inner[1:]))
    if origin is Literal:
        return False
    if origin in (Union, UnionType):  # the bounds of int | None are its own
        return any(unbounded(one, metadata) for one in inner)
    if inner:
        return any(unbounded(one) for one in inner if one is not Ellipsis)
    if kind not in (int, float):
        return False
    checks = [*metadata]
    for check in metadata:
        checks += check.metadata if isinstance(check, FieldInfo) else []
    low = any(isinstance(check, Ge | Gt) for check in checks)
    return not (low and any(isinstance(check, Le | Lt) for check in checks))


def models() -> Iterator[tuple[str, type[Options] | type[Part]]]:
    yield "recipe", Recipe
    yield from parts().items()
    for table in _TABLES:
        for row in table.values():
            yield f"{table.kind} {row.name}", row.options


def test_every_number_has_a_range_and_a_divisor_is_never_0() -> None:
    without = [
        f"{name}.{option}"
        for name, model in models()
        for option, field in model.model_fields.items()
        if unbounded(field.annotation, tuple(field.metadata))
    ]
    assert not without


@pytest.mark.parametrize(
    "row", [row for row in SOURCES.values() if row.bare is None and row.options.model_fields]
)
def test_the_options_behind_the_colon_of_a_source_likewise(row: Any) -> None:
    for option, field in row.options.model_fields.items():
        no_text = ("0", "-1", "1e300", "1e12", "nan", "true")  # but it may be what a file is called
        any_place = field.annotation == str | None
        for value in ("", "x" * 10**6, "9" * 5000, *(() if any_place else no_text)):
            with pytest.raises(UserError, match=option) as caught:
                _own_options(row, f"{row.name}:{option}={value}")
            assert len(str(caught.value)) < 3_500


@pytest.mark.parametrize("split", SPLITS.values())
def test_the_options_of_a_split_likewise(split: Any) -> None:
    for option in split.options.model_fields:
        for value in VALUES:
            views = {"split": {split.name: {option: value}}, "count": split.views or 2}
            saved, refusal = outcome({"views": views})
            assert saved or option in refusal


@pytest.mark.parametrize("named", [0, [], "", {}, None, True, ["simclr"], 1.5, "x" * 10**6])
def test_a_method_that_is_no_name_is_not_simclr(named: Any) -> None:
    with pytest.raises(UserError, match="method"):
        build(None, {"method": named})


@pytest.mark.parametrize("value", [True, [True], False])
@pytest.mark.parametrize(
    "key", ["epochs", "optimizer.lr", "encoder.widths", "objective.temperature"]
)
def test_true_is_no_number(key: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"{key}.*a number is expected"):
        build("simclr", nested([(key, value)]))
