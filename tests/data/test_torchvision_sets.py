from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viewfinder.core.errors import UserError
from viewfinder.data.sources.table import open_source

RNG = np.random.default_rng(0)


def write_idx(path: Path, values: np.ndarray) -> None:
    """The format of MNIST: magic number with the count of dimensions, sizes, bytes."""
    header = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


@pytest.mark.parametrize(
    ("name", "folder"),
    [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")],
)
def test_mnist_family(tmp_path: Path, name: str, folder: str) -> None:
    images = RNG.integers(0, 256, (30, 28, 28), dtype=np.uint8)
    labels = np.arange(30) % 10
    for part, rows in (("train", slice(0, 20)), ("t10k", slice(20, 30))):
        write_idx(tmp_path / folder / "raw" / f"{part}-images-idx3-ubyte", images[rows])
        write_idx(tmp_path / folder / "raw" / f"{part}-labels-idx1-ubyte", labels[rows])
    source = open_source(name, root=tmp_path)
    assert source.test is not None
    assert source.train.data.shape == (1, 28, 28)
    np.testing.assert_array_equal(source.train.data.read(np.arange(20))[:, 0], images[:20])
    np.testing.assert_array_equal(source.test.labels, labels[20:])
    assert len(source.train.class_names or ()) == 10
    assert not source.notes
    (tmp_path / folder / "raw" / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01")
    with pytest.raises(UserError, match="incomplete or damaged"):
        open_source(name, root=tmp_path)


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    images = RNG.integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
    labels = (np.arange(60) % 10).tolist()
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        rows = slice(10 * i, 10 * i + 10)
        content = {"data": images[rows].reshape(10, -1), "labels": labels[rows]}
        (folder / name).write_bytes(pickle.dumps(content))
    names = list("abcdefghij")
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    source = open_source("cifar10", root=tmp_path)
    assert source.test is not None
    np.testing.assert_array_equal(source.train.data.read(np.arange(50)), images[:50])
    np.testing.assert_array_equal(source.test.data.read(np.arange(10)), images[50:])
    np.testing.assert_array_equal(source.train.labels, labels[:50])
    assert source.train.class_names == names


def test_stl10_with_its_unlabelled_split(tmp_path: Path) -> None:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    counts = {"train": 10, "test": 4, "unlabeled": 6}
    images = {
        name: RNG.integers(0, 256, (count, 3, 96, 96), dtype=np.uint8)
        for name, count in counts.items()
    }
    for name, values in images.items():
        # the files hold columns first
        (folder / f"{name}_X.bin").write_bytes(values.transpose(0, 1, 3, 2).tobytes())
        if name != "unlabeled":
            labels = (np.arange(len(values)) % 10 + 1).astype(np.uint8)
            (folder / f"{name}_y.bin").write_bytes(labels.tobytes())
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    source = open_source("stl10", root=tmp_path)
    assert list(source.splits) == ["train", "test", "unlabeled"]
    for name, split in source.splits.items():
        index = np.arange(len(split))[::-1].copy()
        got = split.data.read(index)
        assert got.is_contiguous()
        np.testing.assert_array_equal(got, images[name][index])
    assert source.train.labels is not None
    assert source.train.labels.tolist() == list(range(10))
    assert source.splits["unlabeled"].labels is None
    small = open_source("stl10", root=tmp_path, size=8, limit=3)
    assert {len(split) for split in small.splits.values()} == {3}
    assert small.splits["unlabeled"].data.shape == (3, 8, 8)
    (folder / "train_X.bin").write_bytes(b"123")
    with pytest.raises(UserError, match="truncated"):
        open_source("stl10", root=tmp_path)


def test_sets_of_files(tmp_path: Path) -> None:
    for name in ("Forest", "River"):
        folder = tmp_path / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for i in range(5):
            colour = (i, 100, 0 if name == "River" else 200)
            Image.new("RGB", (64, 64), colour).save(folder / f"{i}.png")
    source = open_source("eurosat", root=tmp_path)
    assert source.train.class_names == ["Forest", "River"]
    assert source.test is not None
    assert np.bincount(source.test.labels).tolist() == [1, 1]
    assert source.train.paths is not None
    pixels = source.train.data.read(np.arange(len(source.train)))[:, :, 0, 0]
    for pixel, label, path in zip(pixels, source.train.labels, source.train.paths, strict=True):
        assert pixel.tolist() == [int(Path(path).stem), 100, 0 if label else 200]


def test_sets_of_files_with_lists(tmp_path: Path) -> None:
    root = tmp_path / "dtd" / "dtd"
    for split, number in (("train", 0), ("val", 1), ("test", 2)):
        (root / "labels").mkdir(parents=True, exist_ok=True)
        lines = []
        for name in ("banded", "dotted"):
            (root / "images" / name).mkdir(parents=True, exist_ok=True)
            for i in range(2):
                file = f"{name}/{number}{i}.png"
                Image.new("RGB", (20, 30), (10 * number, i, 7)).save(root / "images" / file)
                lines.append(file)
        (root / "labels" / f"{split}1.txt").write_text("\n".join(lines))
    source = open_source("dtd", root=tmp_path, size=8)
    assert list(source.splits) == ["train", "test", "val"]
    assert source.train.class_names == ["banded", "dotted"]
    assert source.test is not None
    assert source.test.labels is not None
    assert source.test.labels.tolist() == [0, 0, 1, 1]
    assert source.test.data.read(np.array([3]))[0, :, 4, 4].tolist() == [20, 1, 7]


def test_a_failed_download_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", offline)
    with pytest.raises(UserError, match=r"could not be downloaded.*no route to host"):
        open_source("cifar10", root=tmp_path, download=True)
