"""The sets of the transfer protocol, as tiny trees in the layouts they are downloaded in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from viewfinder.core.errors import UserError
from viewfinder.data.source import Source
from viewfinder.data.sources.listing import class_split
from viewfinder.data.sources.table import open_source


def save(path: Path, level: int) -> None:
    """A picture of one grey level, so that it can be known again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 18), (level, level, level)).save(path)


def levels(source: Source, split: str) -> list[int]:
    part = source.splits[split]
    images = part.data.read(np.arange(len(part))).float()
    return [round(float(image.mean())) for image in images]


def named(source: Source, split: str) -> list[str]:
    part = source.splits[split]
    assert part.labels is not None and part.class_names is not None
    return [part.class_names[label] for label in part.labels]


def expected_split(groups: list[list[str]]) -> dict[str, list[str]]:
    """Four fifths of each sorted class by one RandomState(42), class after class."""
    random = np.random.RandomState(42)
    parts: dict[str, list[str]] = {"train": [], "test": []}
    for group in groups:
        shuffled = [sorted(group)[i] for i in random.permutation(len(group))]
        cut = int(0.8 * len(group))
        parts["train"] += shuffled[:cut]
        parts["test"] += shuffled[cut:]
    return parts


@pytest.fixture
def dtd(tmp_path: Path) -> Path:
    lines = {"train1": ["woven/w0.jpg", "banded/b0.jpg"], "val1": ["banded/b1.jpg"]}
    lines |= {"test1": ["woven/w1.jpg"], "train2": ["woven/w1.jpg"]}
    (tmp_path / "labels").mkdir()
    for name, paths in lines.items():
        (tmp_path / "labels" / f"{name}.txt").write_text("\n".join(paths) + "\n")
    for i, name in enumerate(["woven/w0", "banded/b0", "banded/b1", "woven/w1"]):
        save(tmp_path / "images" / f"{name}.jpg", 40 * i)
    return tmp_path


def test_dtd_trains_on_train_and_val_of_split_1(dtd: Path) -> None:
    source = open_source(f"dtd-split1:{dtd}", size=16)
    assert list(source.splits) == ["train", "test"]
    assert source.train.data.shape == (3, 16, 16)
    assert named(source, "train") == ["woven", "banded", "banded"]
    assert named(source, "test") == ["woven"]
    assert levels(source, "train") == pytest.approx([0, 40, 80], abs=2)
    assert levels(source, "test") == pytest.approx([120], abs=2)
    assert open_source(f"dtd-split1:{dtd}").train.data.shape == (3, 256, 256)
    (dtd / "labels" / "val1.txt").unlink()
    with pytest.raises(UserError, match=r"no file .*val1.txt.*robots.ox.ac.uk/~vgg/data/dtd"):
        open_source(f"dtd-split1:{dtd}")


def test_flowers_are_split_by_class(tmp_path: Path) -> None:
    labels = np.array([2, 1, 2, 2, 1, 2, 2, 1, 1, 1], np.uint8)
    savemat(tmp_path / "imagelabels.mat", {"labels": labels[None]})
    for i in range(10):
        save(tmp_path / "jpg" / f"image_{i + 1:05d}.jpg", 20 * i)
    source = open_source(f"vgg-flower:{tmp_path}", size=8)
    files = [f"image_{i + 1:05d}.jpg" for i in range(10)]
    groups = [[f for f, k in zip(files, labels, strict=True) if k == kind] for kind in (1, 2)]
    parts = expected_split(groups)
    for split in ("train", "test"):
        assert list(source.splits[split].paths or ()) == parts[split]
        wanted = [20 * files.index(f) for f in parts[split]]
        assert levels(source, split) == pytest.approx(wanted, abs=2)
        assert named(source, split) == [f"flower {labels[files.index(f)]}" for f in parts[split]]
    assert any("RandomState(42), files sorted by path" in note for note in source.notes)
    savemat(tmp_path / "imagelabels.mat", {"names": labels})
    with pytest.raises(UserError, match=r"imagelabels.mat holds no labels.*102flowers.tgz"):
        open_source(f"vgg-flower:{tmp_path}")


def test_traffic_signs_are_the_final_training_images(tmp_path: Path) -> None:
    images = tmp_path / "GTSRB" / "Final_Training" / "Images"
    groups = []
    for folder, count in (("00000", 5), ("00014", 10)):
        names = [f"{folder}/{i:05d}_00000.ppm" for i in range(count)]
        for i, name in enumerate(names):
            save(images / name, 20 * i + (5 if folder == "00014" else 0))
        (images / folder / f"GT-{folder}.csv").write_text("Filename;Width\n")
        groups.append(names)
    parts = expected_split(groups)
    for place in (tmp_path, tmp_path / "GTSRB"):
        source = open_source(f"gtsrb:{place}")
        assert source.train.data.shape == (3, 64, 64)
        assert [len(source.splits[s]) for s in ("train", "test")] == [12, 3]
        for split in ("train", "test"):
            assert list(source.splits[split].paths or ()) == parts[split]
            assert named(source, split) == [path[:5] for path in parts[split]]
    assert levels(source, "test") == [
        20 * int(path[6:11]) + 5 * (path[:5] == "00014") for path in parts["test"]
    ]


def test_aircraft_variants_may_hold_spaces(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "variants.txt").write_text("707-320\nSpitfire Mk I\nF/A-18\n")
    (data / "images_variant_trainval.txt").write_text("0000001 F/A-18\n0000002 Spitfire Mk I\n")
    (data / "images_variant_test.txt").write_text("0000003 Spitfire Mk I\n")
    for i in (1, 2, 3):
        save(data / "images" / f"{i:07d}.jpg", 50 * i)
    source = open_source(f"fgvc-aircraft:{tmp_path}", size=8)
    assert named(source, "train") == ["F/A-18", "Spitfire Mk I"]
    assert named(source, "test") == ["Spitfire Mk I"]
    assert levels(source, "train") == pytest.approx([50, 100], abs=2)
    (data / "images_variant_test.txt").write_text("0000003 Spitfire\n")
    with pytest.raises(UserError, match=r"1 lines are not an image and one of the 3 variants"):
        open_source(f"fgvc-aircraft:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("dtd-split1", "robots.ox.ac.uk/~vgg/data/dtd"),
        ("vgg-flower", "robots.ox.ac.uk/~vgg/data/flowers/102"),
        ("gtsrb", "benchmark.ini.rub.de"),
        ("fgvc-aircraft", "robots.ox.ac.uk/~vgg/data/fgvc-aircraft"),
    ],
)
def test_a_missing_set_says_where_to_get_it_and_how_it_must_lie(
    name: str, address: str, tmp_path: Path
) -> None:
    for place in (tmp_path / "nowhere", tmp_path):  # no such folder, and an empty one
        with pytest.raises(UserError, match=rf"(?s)(no folder|holds no).*{address}.*unpacked as"):
            open_source(f"{name}:{place}")
    with pytest.raises(UserError, match="takes a path after it"):
        open_source(name)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_a_split_by_class_holds_out_a_fifth_of_each_and_ignores_the_order(
    labels: list[int],
) -> None:
    files = [f"{i:03d}" for i in range(len(labels))]
    found = class_split(files, labels, list("abcde"))
    assert sorted(found.paths["train"] + found.paths["test"]) == files
    for kind in set(labels):
        count = labels.count(kind)
        assert int((found.labels["train"] == kind).sum()) == max(1, int(0.8 * count))
    for split in ("train", "test"):
        assert [labels[int(f)] for f in found.paths[split]] == found.labels[split].tolist()
    turned = class_split(files[::-1], labels[::-1], list("abcde"))
    assert turned.paths == found.paths
