"""YAML is plain data by the rules of YAML 1.2, whatever a file would like to be."""

from __future__ import annotations

import math
import time
import tracemalloc

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from viewfinder.core.errors import UserError
from viewfinder.core.plain_yaml import DEEPEST, dump, load

# from the tables of YAML 1.2.2, section 10.3.2 (the core schema)
CORE = {
    "null": None, "~": None, "": None, "true": True, "False": False, "0": 0, "0o7": 7, "0x3A": 58,
    "-19": -19, "0.": 0.0, "-0.0": -0.0, ".5": 0.5, "+12e03": 12000.0, "-2E+05": -200000.0,
    ".inf": math.inf, "-.Inf": -math.inf, "+.INF": math.inf,
}  # fmt: skip
TEXT = ["yes", "no", "on", "off", "y", "1:30", "190:20:30", "2001-12-14", "1_000", "=", "<<"]


@pytest.mark.parametrize("text", CORE)
def test_scalars_are_those_of_the_core_schema(text: str) -> None:
    assert load(text) == CORE[text]
    assert type(load(text)) is type(CORE[text])


@pytest.mark.parametrize("text", TEXT)
def test_whatever_else_is_not_quoted_is_text(text: str) -> None:
    assert load(f"[{text}]") == [text]
    assert load(f"{text}: 1") == {text: 1}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "aliases that multiply": (BOMB, "20,000 values"),
    "an alias of itself": ("&a [*a]", "alias"),
    "a mapping in itself": ("&a {b: *a}", "alias"),
    "depth": ("[" * 3_000, "levels"),
    "depth by lines": ("\n".join(" " * i + "a:" for i in range(300)), "levels"),
    "a key twice": ("a: 1\nb: 2\na: 3", "the key a is there twice"),
    "a key twice inside": ("a: {b: 1, b: 2}", "line 1, column 11: the key b"),
    "a number of 5,000 digits": ("a: " + "9" * 5_000, "5,000 digits"),
    "an object": ("!!python/object/apply:os.system [id]", "python/object"),
    "a type of its own": ("!!binary aaaa", "binary"),
    "a set": ("!!set {a}", "set"),
    "a wrong type": ("!!int abc", "'abc'"),
    "a key that is a list": ("{[1]: 2}", r"\[1\]"),
    "a key that is a number": ("{1: 2}", "key 1 is no text"),
    "length": ("x" * 10**6, "1,000,000 characters"),
    "two documents": ("--- 1\n--- 2", "document"),
    "a control character": ("\x00", "not allowed"),
    "an end too soon": ("a: [", "line 1, column 5"),
    "an anchor without a name": ("&", "anchor"),
    "an alias of nothing": ("*a", "undefined alias"),
    "a tab": ("\t- a", "token"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_plain_data_is_refused_where_it_stands(kind: str) -> None:
    text, says = HOSTILE[kind]
    started = time.process_time()
    tracemalloc.start()
    with pytest.raises(UserError, match=says) as caught:
        load(text)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert time.process_time() - started < 5
    assert len(str(caught.value)) < 500


def test_an_alias_of_a_few_values_is_what_it_stands_for() -> None:
    assert load("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}
    assert load("[" * DEEPEST + "]" * DEEPEST)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(max_size=20)
    | st.sampled_from([*TEXT, *CORE]) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(plain)
def test_what_is_written_reads_back_equal_by_the_rules_of_both_versions(data: object) -> None:
    assert load(dump(data)) == data
    assert yaml.safe_load(dump(data)) == data


@given(st.text(alphabet="[]{}:,-&*!|>'\"#%@ \n\tab01.?<=~", max_size=60))
def test_any_text_is_data_or_refused(text: str) -> None:
    try:
        load(text)
    except UserError as error:
        told = str(error)
        assert len(told) < 500
