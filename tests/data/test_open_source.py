from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from viewfinder.core.errors import UserError
from viewfinder.data.sources.table import open_source
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


def test_a_bare_path_is_told_its_prefix(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"folder:{tmp_path}"):
        open_source(str(tmp_path))
    np.savez(tmp_path / "train.npz", images=np.zeros((2, 2, 2, 1), np.uint8))
    for path in (tmp_path, tmp_path / "train.npz"):
        with pytest.raises(UserError, match=f"npz:{path}"):
            open_source(str(path))


def test_labels_file_only_where_it_can_mean_something() -> None:
    with pytest.raises(UserError, match="labels goes with npz: and folder:"):
        open_source("digits", labels="x.csv")


def test_other_channel_counts_are_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match=r"1 channels and data\.channels is 4; only 1 to 3"):
        open_source("digits", channels=4)


@pytest.mark.parametrize("name", sorted(SETS))
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
