"""What rows declare is checked against its type: over all tables, and through every decorator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from typing import Any

import pytest

from viewfinder import register
from viewfinder.core.errors import UserError
from viewfinder.core.facts import described, fits
from viewfinder.core.optimizers import OPTIMIZERS
from viewfinder.core.table import Options, Row, Table
from viewfinder.data.sources.table import SOURCES
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.negatives.table import NEGATIVES
from viewfinder.networks.encoders import ENCODERS
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.table import POSITIVES
from viewfinder.recipes.methods import METHODS
from viewfinder.regularizers.contract import RegularizerOptions
from viewfinder.regularizers.table import REGULARIZERS
from viewfinder.views.table import SPLITS, STEPS

TABLES: list[Table[Any]] = [
    *(STEPS, SPLITS, POSITIVES, NEGATIVES, OBJECTIVES, REGULARIZERS, ENCODERS, SOURCES, PROBES),
    *(METHODS, OPTIMIZERS),
]


class Nonsense:
    """Is of no type that a fact could be of."""

    def __repr__(self) -> str:
        return "nonsense"


def _facts() -> Iterator[Any]:
    for table in TABLES:
        row = next(iter(table.values()))
        for fact in fields(row):
            yield pytest.param(row, fact.name, id=f"{table.kind}-{fact.name}")


@pytest.mark.parametrize(("row", "fact"), _facts())
@pytest.mark.parametrize("wrong", [Nonsense(), ("kyes",)], ids=repr)
def test_no_row_holds_what_a_fact_cannot_be(row: Row, fact: str, wrong: Any) -> None:
    with pytest.raises(UserError, match=rf"{fact} is .* is expected"):
        replace(row, **{fact: wrong})


WORDS = {
    "objective": ("scores", "across_ranks", "target", "negatives", "positives", "outputs"),
    "regularizer": ("needs", "across_ranks", "sign", "modality"),
    "negatives": ("kind",),
    "positives": ("gives", "needs"),
    "step": ("modalities", "fuses"),
    "split": ("modalities",),
    "encoder": ("modalities",),
    "source": ("modality",),
}
REQUIRED: dict[str, dict[str, Any]] = {
    "objective": {"formula": "f"},
    "regularizer": {"formula": "f", "needs": ("features",)},
}


def registered(kind: str, /, **facts: Any) -> None:
    decorator = getattr(register, kind)("no-such-row", **{**REQUIRED.get(kind, {}), **facts})

    @decorator
    class Made:
        """Anything at all."""

        class Options(RegularizerOptions if kind == "regularizer" else Options):  # type: ignore
            pass


@pytest.mark.parametrize(("kind", "fact"), [(k, f) for k, facts in WORDS.items() for f in facts])
def test_a_word_that_is_none_is_refused_where_it_is_registered(kind: str, fact: str) -> None:
    own = {t.kind.removeprefix("data "): t for t in TABLES}[kind]
    known = type(next(iter(own.values())))
    given = next(f for f in fields(known) if f.name == fact)
    several = isinstance(getattr(next(iter(own.values())), fact), tuple)
    wrong = [("kyes",), "instance", ["images"]] if several else ["kyes", 3, True]
    if several and given.default != ():
        wrong.append(())
    for value in wrong:
        with pytest.raises(UserError, match=rf"no-such-row: {fact} is .* is expected"):
            registered(kind, **{fact: value})
    assert not any("no-such-row" in table for table in TABLES)


@pytest.mark.parametrize(
    ("kind", "facts", "says"),
    [
        ("objective", {"pairing": "symetric"}, "Did you mean 'symmetric'"),
        ("objective", {"views": (0, None)}, r"views is \(0, None\)"),
        ("objective", {"views": (3, 2)}, r"views is \(3, 2\)"),
        (
            "objective",
            {"views": 2},
            "views is 2; a tuple of a whole number, a w",
        ),
        ("objective", {"state": 3}, "state is 3; a function or None is expected"),
        ("objective", {"partners": 1}, "partners is 1; True or False is expected"),
        ("objective", {"formula": None}, "formula is None; a text"),
        ("regularizer", {"views": (2, 1)}, r"views is \(2, 1\)"),
        ("regularizer", {"stages": "layer4"}, "stages is 'layer4'; a function is expected"),
        ("regularizer", {"noise": "yes"}, "noise is 'yes'; True or False"),
        ("positives", {"sized_by": "k"}, "unknown option of positives no-such-row 'k'"),
        ("negatives", {"bare": "size"}, "unknown option of negatives no-such-row 'size'"),
        ("step", {"place": "last"}, "place is 'last'; a whole number is expected"),
        ("split", {"views": "two"}, "views is 'two'; a whole number or None"),
        ("probe", {"phrase": 3}, "phrase is 3; a text"),
    ],
)
def test_nonsense_is_refused_with_what_is_expected(kind: str, facts: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        registered(kind, **facts)
    assert not any("no-such-row" in table for table in TABLES)


def test_every_decorator_of_a_table_is_here() -> None:
    made = {name for name, one in vars(register).items() if callable(one) and name in KINDS}
    assert made == KINDS
    assert set(WORDS) | {"probe", "method"} == KINDS


KINDS = {table.kind.removeprefix("data ").replace("protocol", "probe") for table in TABLES}
KINDS -= {"optimizer"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.kind)
def test_rows_hold_their_facts_and_defaults_are_such(table: Table[Any]) -> None:
    for row in table.values():
        replace(row)
    row = next(iter(table.values()))
    plain = {f.name: f.default for f in fields(row) if f.default is not MISSING}
    replace(row, **{k: v for k, v in plain.items() if k != "options"})


def test_types_that_facts_are_of() -> None:
    assert fits(None, int | None)
    assert not fits(True, int)
    assert not fits(1, bool)
    assert fits(RegularizerOptions, type[Options])
    assert not fits(int, type[Options])
    assert described(type[Options]) == "a class derived from Options"
    assert described(tuple[int, int | None]) == (
        "a tuple of a whole number, a whole number or None"
    )
