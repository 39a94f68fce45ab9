from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from viewfinder.core.errors import UserError
from viewfinder.core.randomness import torch_generator
from viewfinder.data.describe import describe
from viewfinder.data.domain import DTYPES
from viewfinder.data.sources.spirals import spirals
from viewfinder.data.sources.table import SOURCES, SourceRow, open_source
from viewfinder.data.sources.torchvision_sets import SETS


def test_digits_are_scikit_learns() -> None:
    source = open_source("digits")
    digits = load_digits()
    assert source.test is not None
    for split in source.splits.values():
        rows = split.factors["source_row"]
        got = split.data.read(np.arange(len(split)))[:, 0].numpy()
        # steps of 255/16, so the original values can be told
        np.testing.assert_array_equal(np.round(got / (255 / 16)), digits.images[rows])
        np.testing.assert_array_equal(split.labels, digits.target[rows])
    expected = [round(n / 5) for n in np.bincount(digits.target)]
    assert np.bincount(source.test.labels).tolist() == expected


def test_the_seed_decides_what_is_held_out() -> None:
    def rows(seed: int) -> list[int]:
        test = open_source("digits", seed=seed, limit=100).test
        assert test is not None
        return test.factors["source_row"].tolist()

    assert rows(0) == rows(0)
    assert rows(0) != rows(1)


def test_options_reach_the_reader() -> None:
    source = open_source("digits", channels=3, size=4, limit=200)
    assert source.train.data.shape == (3, 4, 4)
    assert sum(map(len, source.splits.values())) == 200
    words = ("class-balanced subset of 200 of 1797", "repeated", "reduced to 4", "held out")
    assert all(any(word in note for note in source.notes) for word in words)
    assert source.spec == "digits"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("cifar01", "Did you mean 'cifar10'"),
        ("folder", "folder:PATH"),
        ("digits:x", "takes nothing"),
        ("http://x", "unknown data source"),
        ("foldr:photos", "folder:PATH"),
        ("cub:photos", "cub200:PATH"),
        ("", "unknown data source"),
    ],
)
def test_unknown_specs(spec: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        open_source(spec)


def test_an_existing_path_needs_no_prefix(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds 0 readable images"):
        open_source(str(tmp_path))
    np.savez(tmp_path / "train.npz", images=np.zeros((2, 2, 2, 1), np.uint8))
    for path in (tmp_path, tmp_path / "train.npz"):
        source = open_source(str(path))
        assert source.spec == f"npz:{path}"
        assert source.notes[0] == f"{path} is read as npz:{path}"
    for name in ("a.png", "b.png"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name)
    assert open_source(f"{tmp_path}/photos").spec == f"folder:{tmp_path}/photos"


@pytest.mark.parametrize("row", SOURCES.values(), ids=SOURCES)
def test_every_source_says_what_it_is_and_refuses_what_it_is_not(
    row: SourceRow, tmp_path: Path
) -> None:
    """What can be read anywhere describes itself; the rest says what is missing where."""
    named = f"{row.name}:{tmp_path}/nothing" if row.bare else row.name
    if row.bare:
        with pytest.raises(UserError, match=f"{row.name} takes a path after it"):
            open_source(row.name)
    elif not row.options.model_fields:
        with pytest.raises(UserError, match=f"{row.name} takes nothing after it"):
            open_source(f"{row.name}:x")
    else:
        with pytest.raises(UserError, match=rf"unknown key {row.name}\.no_such_option"):
            open_source(f"{row.name}:no_such_option=1")
        with pytest.raises(UserError, match="not of the form key=value"):
            open_source(f"{row.name}:x")
    if not row.labels:
        with pytest.raises(UserError, match=r"data\.labels goes with npz: and folder:"):
            open_source(named, labels="x.csv")
    if row.modality != "images":
        for key in ("size", "channels"):
            with pytest.raises(UserError, match=rf"data\.{key} converts images"):
                open_source(named, **{key: 1})  # type: ignore[arg-type]
    told = ""
    try:
        source = open_source(named, root=tmp_path, limit=20)
    except UserError as error:
        told = str(error)
    if told:
        assert str(tmp_path) in told
        return
    described = describe(source)
    assert json.loads(json.dumps(described)) == described
    for name, split in source.splits.items():
        facts = described["splits"][name]
        assert facts["modality"] == split.data.modality == row.modality
        assert facts["shape"] == list(split.data.shape)
        assert facts["count"] == len(split) <= 20
        rows = split.data.read(np.array([1, 0]))
        assert rows.shape == (2, *split.data.shape)
        assert rows.dtype == DTYPES[row.modality]
        again = open_source(named, root=tmp_path, limit=20).splits[name].data.read(np.array([1, 0]))
        assert torch.equal(rows, again)


def test_spirals_are_set_in_the_spec() -> None:
    source = open_source("spirals:turns=3,radius=2.5,even=arc,train=30,test=9", seed=5)
    assert (len(source.train), len(source.test or ())) == (30, 9)
    points = source.train.data.read(np.arange(30))
    expected = spirals(30, torch_generator(5, "spirals/train"), turns=3.0, radius=2.5, even="arc")
    assert torch.equal(points, expected.data)
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [0, 1] * 15
    with pytest.raises(UserError, match=r"spirals\.turns is 'x'"):
        open_source("spirals:turns=x")


def test_labels_file_only_where_it_can_mean_something() -> None:
    with pytest.raises(UserError, match="labels goes with npz: and folder:"):
        open_source("digits", labels="x.csv")


def test_other_channel_counts_are_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match=r"1 channels and data\.channels is 4; only 1 to 3"):
        open_source("digits", channels=4)


@pytest.mark.parametrize("name", sorted([*SETS, "stl10"]))
def test_missing_torchvision_sets_say_where_they_must_lie(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name} is not in {tmp_path}.*data.download=true"):
        open_source(name, root=tmp_path)
    assert not list(tmp_path.glob("*.*"))  # nothing was fetched


def test_shapes_are_dispatched() -> None:
    pytest.importorskip("viewfinder.data.shapes.source")
    source = open_source("shapes", limit=20, channels=1)
    assert source.train.data.shape == (1, 32, 32)
    assert len(source.train) <= 20
    assert source.train.data.read(np.array([0, 1])).shape == (2, 1, 32, 32)
