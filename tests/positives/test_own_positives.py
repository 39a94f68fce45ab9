"""Positives of one's own, from a module outside the package, in a whole run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from viewfinder.commands.pretrain import pretrain, resume
from viewfinder.commands.words import recipe_of
from viewfinder.core.errors import UserError
from viewfinder.positives.table import POSITIVES
from viewfinder.runs.checkpoint import load_weights

MODULE = """
import numpy as np
from pydantic import Field

from viewfinder.core.table import Options
from viewfinder.positives.assignment import Assignment, dense
from viewfinder.positives.contract import Positives, RefreshedOptions
from viewfinder.positives.table import POSITIVES


class ShiftOptions(Options):
    shift: int = Field(0, ge=0, description="labels are shifted by so much")


class HalvesOptions(RefreshedOptions):
    column: int = Field(0, ge=0, description="number of the feature that is looked at")


def shifted(options, given):
    return Assignment(dense((given.split.labels + options.shift) % 2), notes=("shifted",))


def halves(options, given):
    values = given.features[:, options.column]
    CALLS.append((given.features.shape, given.seed))
    return Assignment((values > np.median(values)).astype(np.int64))


CALLS = []
POSITIVES.add(Positives(
    name="shifted", summary="odd and even labels", options=ShiftOptions, build=shifted,
    needs=("labels",), bare="shift",
))
POSITIVES.add(Positives(
    name="halves", summary="below and above the median of a feature", options=HalvesOptions,
    build=halves, needs=("features",),
))
"""
SMALL = ["data=shapes", "data.limit=64", "epochs=2", "batch_size=32", "logger=none"]
SMALL += ["encoder.widths=[4,8]", "accelerator=cpu", "evaluation.baselines=false"]
SMALL += ["evaluation.protocols=[knn]", "evaluation.k=5"]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, int], int]]:
    """The module is imported, and its rows are gone again after the test."""
    monkeypatch.setattr(POSITIVES, "_rows", dict(POSITIVES))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_rows.py").write_text(MODULE)
    sys.modules.pop("my_rows", None)
    return importlib.import_module("my_rows").CALLS


def clusters(folder: Path, epoch: int) -> torch.Tensor:
    return load_weights(folder / "checkpoints" / f"epoch-{epoch:05d}")["clusters"]


def test_made_once(calls: list, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = pretrain(recipe_of(["supcon", *SMALL, "positives=shifted:1"]), tmp_path / "run")
    assert "note: shifted" in capsys.readouterr().out
    assert run.recipe().positives.options().model_dump() == {"shift": 1}
    first, last = clusters(run.folder, 1), clusters(run.folder, 2)
    assert torch.equal(first, last)
    assert sorted(last.unique().tolist()) == [0, 1]
    assert run.results_file.exists()
    assert not calls


def test_made_anew_between_epochs(calls: list, tmp_path: Path) -> None:
    words = [*SMALL, "positives=halves", "positives.on=features", "positives.column=1"]
    run = pretrain(recipe_of(["ci-infonce-batch", *words]), tmp_path / "run")
    assert [shape for shape, _ in calls] == [(64, 8)] * 2  # the features' width, before each epoch
    assert calls[0][1] != calls[1][1]  # each with a seed of its own
    for epoch in (1, 2):
        assert clusters(run.folder, epoch).bincount().tolist() == [32, 32]
    # a run that is continued makes the same ones
    whole = clusters(run.folder, 2)
    for file in (run.folder / "checkpoints" / "epoch-00002").iterdir():
        file.unlink()
    (run.folder / "checkpoints" / "epoch-00002").rmdir()
    resume(run.folder)
    assert torch.equal(clusters(run.folder, 2), whole)


def test_it_starts_late_and_works_with_pairs_from_clusters(calls: list, tmp_path: Path) -> None:
    words = [*SMALL, "positives=halves", "positives.start=1", "objective=ci-infonce"]
    run = pretrain(
        recipe_of(["ci-infonce-batch", *words, "positives.sampler=clusters"]), tmp_path / "run"
    )
    assert [shape for shape, _ in calls] == [(64, 128)]  # projections are the default
    np.testing.assert_array_equal(clusters(run.folder, 1), np.arange(64))  # each its own
    assert clusters(run.folder, 2).bincount().tolist() == [32, 32]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["positives=shifted", "data=npz:plain.npz"], r"no labels.*data\.labels"),
        (
            ["positives=shifted", "positives.shift=-1"],
            r"positives\.shift is -1.*positives\.shift=0",
        ),
        (["positives=shiftd"], "Did you mean 'shifted'"),
        (["positives=halves:3"], "behind a colon"),
        (["positives=halves", "positives.start=2"], r"positives\.start=1"),
        (["positives=halves", "objective=cross-entropy", "negatives=none"], "objective=supcon"),
        (["positives=halves", "objective=pcl", "negatives=queue"], "clusters with centroids"),
    ],
)
def test_it_is_checked_as_all_others_are(
    calls: list, words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("plain.npz", images=np.zeros((64, 16, 16, 3), np.uint8))
    target = ["target=momentum"] if "objective=pcl" in words else []
    with pytest.raises(UserError, match=says):
        pretrain(recipe_of(["ci-infonce-batch", *SMALL, *words, *target]), tmp_path / "run")
    assert not (tmp_path / "run").exists()
