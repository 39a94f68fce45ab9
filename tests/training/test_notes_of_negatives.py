"""What a run says of its negatives: once, how many anchors, and what is used instead."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from viewfinder.negatives import NEGATIVES
from viewfinder.training.callbacks import History

TELLING = [row for row in NEGATIVES.values() if row.notes]


@pytest.mark.parametrize("row", TELLING, ids=lambda row: row.name)
def test_a_share_above_0_is_said_once_with_its_number(row: object, tmp_path: Path) -> None:
    said = io.StringIO()
    history = History(tmp_path / "metrics.csv", None, Console(file=said))  # type: ignore[arg-type]
    history._terms = {"loss": [torch.zeros(())] * 10}
    recipe = SimpleNamespace(batch_size=64, negatives=SimpleNamespace(row=row))
    history._note({"loss": 1.0, "empty_sets": 0.0}, recipe)
    assert said.getvalue() == ""
    for share in (0.125, 0.5):
        history._note({"loss": 1.0, "empty_sets": share}, recipe)
    told = said.getvalue()
    assert told.count("note:") == 1 and "12.5% of the anchors (80)" in told and "instead" in told
