"""The sweeps that the documentation shows: each is of a recipe that there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from viewfinder.commands.sweep import words_of
from viewfinder.commands.words import method_and_overrides
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import build, merge, nested, parse_overrides
from viewfinder.sweeps.vary import parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [
    pytest.param(found, id=f"{page.stem}-{i}")
    for page in PAGES
    for i, found in enumerate(re.findall(r"viewfinder sweep ([^`\n]+)", page.read_text()))
]


def test_there_are_some() -> None:
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("text", COMMANDS)
def test_every_value_of_it_is_a_recipe(text: str) -> None:
    rest, vary, _ = words_of(shlex.split(text))
    assert vary is not None
    path, values = parse(vary)
    method, words = method_and_overrides(rest)
    for value in values:
        check_parts(build(method, merge(parse_overrides(words), nested([(path, value)]))))
