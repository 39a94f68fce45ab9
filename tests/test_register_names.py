"""What the decorators that add rows make of the names they are given."""

from __future__ import annotations

from typing import Any

import pytest

from viewfinder import register
from viewfinder.core.errors import UserError

DECORATORS = (
    *("step", "split", "positives", "negatives", "objective", "regularizer"),
    *("encoder", "source", "probe", "method"),
)
FACTS: dict[str, dict[str, Any]] = {
    "objective": {"formula": "x"},
    "regularizer": {"formula": "x", "needs": ("features",)},
}
every = pytest.mark.parametrize("of", DECORATORS)


def test_no_decorator_is_left_out() -> None:
    made = {n for n, f in vars(register).items() if getattr(f, "__wrapped__", None) is not None}
    assert {*DECORATORS} <= made
    annotated = {
        n
        for n, f in vars(register).items()
        if getattr(f, "__annotations__", {}).get("return") == "Decorator"
    }
    assert {n for n in annotated if not n.startswith("_")} == {*DECORATORS}


@every
def test_a_decorator_without_parentheses_says_what_is_missing(of: str) -> None:
    def my_row() -> None:
        """A row."""

    class MyRow:
        """A row."""

    for made in (my_row, MyRow):
        with pytest.raises(UserError, match=rf'@register.{of}\("my-row"\)'):
            getattr(register, of)(made)


@every
@pytest.mark.parametrize("name", ["My_Row", "my_row", "MyRow", "my row", "-my-row", "my:row", ""])
def test_names_are_lower_case_with_hyphens(of: str, name: str) -> None:
    for args, named in (((name,), {}), ((), {"name": name})):
        with pytest.raises(UserError, match=r'lower case with hyphens\. Try: "my-row"'):
            getattr(register, of)(*args, **named, **FACTS.get(of, {}))
