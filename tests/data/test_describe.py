from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from viewfinder.data.describe import (
    describe,
    entropy_bits,
    print_description,
    statistics,
)
from viewfinder.data.source import Attributes, Source, Split
from viewfinder.data.sources.table import open_source
from viewfinder.data.stored import ArrayData


@given(st.lists(st.integers(0, 9), min_size=1, max_size=50).map(np.array))
@settings(max_examples=40, deadline=None)
def test_entropy_is_scipys(values: np.ndarray) -> None:
    expected = entropy(np.bincount(values), base=2)
    assert entropy_bits(values) == pytest.approx(float(expected), abs=1e-12)


def test_statistics_are_numpys() -> None:
    images = torch.randint(0, 256, (301, 3, 5, 4), dtype=torch.uint8)
    mean, std = statistics(ArrayData(images))
    pixels = images.double().numpy() / 255
    np.testing.assert_allclose(mean, pixels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std((0, 2, 3)), rtol=1e-12)


def test_statistics_of_points_are_numpys_and_others_have_none() -> None:
    points = torch.randn(301, 2)
    mean, std = statistics(ArrayData(points, "points"))
    np.testing.assert_allclose(mean, points.double().numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(std, points.double().numpy().std(0), rtol=1e-12)
    assert statistics(ArrayData(torch.zeros(3, 5, dtype=torch.int64), "tokens")) == ([], [])


def hostile() -> Source:
    split = Split(
        "train",
        ArrayData(torch.zeros(4, 1, 2, 3, dtype=torch.uint8)),
        labels=np.array([0, 1, 1, 1]),
        class_names=["[red]cat[/red]", "dog\x1b[2J", "dog\x1b[2J"],
        attributes=Attributes(np.array([[0], [1], [-1], [-1]]), ["size"]),
    )
    return Source("x", {"train": split}, ["a [bold]note"], [(Path("a\x1b.jpg"), "not an image")])


def test_description_is_plain_and_complete() -> None:
    described = describe(hostile())
    assert json.loads(json.dumps(described)) == described
    train = described["splits"]["train"]
    assert (train["count"], train["modality"], train["shape"]) == (4, "images", [1, 2, 3])
    assert list(train["class_counts"].values()) == [1, 3, 0]
    assert train["attributes"] == [{"name": "size", "values": 2, "missing": 2, "entropy_bits": 1.0}]
    assert described["unreadable"] == [{"path": "a\x1b.jpg", "reason": "not an image"}]


def test_printing_shows_names_as_they_are_and_no_escapes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_description(describe(hostile()))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    for text in ("[red]cat[/red]", "a [bold]note", "not an image", "size", "1.000"):
        assert text in shown


def test_printing_a_source_without_labels_and_one_with_many_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.zeros((200, 4, 4, 13), dtype=np.uint8)
    np.savez(tmp_path / "plain.npz", images=images)
    np.savez(tmp_path / "many.npz", images=images, labels=np.arange(200) % 100)
    for name in ("plain", "many"):
        print_description(describe(open_source(f"npz:{tmp_path / name}.npz")))
    assert "70 more" in capsys.readouterr().out


@pytest.mark.parametrize("largest", [2, 2**31, 2**62, 2**63 - 1])
def test_entropy_is_of_shares_whatever_the_numbers_are(largest: int) -> None:
    assert entropy_bits(np.array([0, 0, largest, largest])) == 1
    assert entropy_bits(np.array([largest])) == 0
