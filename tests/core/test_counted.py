"""One epoch is not "1 epochs"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import viewfinder
from viewfinder.core.counted import counted

MAY_BE_ONE = ("epochs", "unreadable files", "embeddings written", "constant attributes")
"""What a message counts, and what may well be one."""


@pytest.mark.parametrize("number", [0, 1, 2, 1_234_567])
def test_the_noun_agrees_with_its_number(number: int) -> None:
    assert re.fullmatch(r"1 box|(0|2|1,234,567) boxes", counted(number, "box", "boxes"))


@pytest.mark.parametrize("noun", MAY_BE_ONE)
def test_no_message_writes_the_plural_behind_a_number(noun: str) -> None:
    texts = {path: path.read_text() for path in Path(viewfinder.__file__).parent.rglob("*.py")}
    assert [path for path, text in texts.items() if f"}} {noun}" in text] == []
