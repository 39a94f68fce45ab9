"""Real images, unpacked into the folder that VIEWFINDER_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from viewfinder.data.describe import describe
from viewfinder.data.sources.table import open_source

ROOT = os.environ.get("VIEWFINDER_DATA")
pytestmark = pytest.mark.skipif(ROOT is None, reason="VIEWFINDER_DATA names no folder of real sets")


def folder(name: str) -> Path:
    assert ROOT is not None
    path = Path(ROOT) / name
    if not path.exists():
        pytest.skip(f"VIEWFINDER_DATA has no {name}")
    return path


# images of train and test, (C, H, W), classes: from the sets' own descriptions
SETS = {
    "cifar10": (25_000, 5_000, (3, 32, 32), 10),
    "fashion_mnist": (10_000, 2_000, (1, 28, 28), 10),
    "mnist": (10_000, 2_000, (1, 28, 28), 10),
    "fashion_products": (3_996, 946, (3, 80, 60), 54),
    "tiny_imagenet50_hier": (4_000, 1_000, (3, 64, 64), 50),
    "eurosat64": (1_100, 400, (3, 64, 64), 10),
    "flowers17_96": (1_020, 339, (3, 96, 96), 17),
    "gtsrb35": (1_720, 645, (3, 35, 35), 43),
    "omniglot_small": (3_872, 968, (1, 105, 105), 242),
    "camvid_half": (184, 117, (3, 180, 240), None),
}


@pytest.mark.parametrize("name", SETS)
def test_set(name: str) -> None:
    train, test, shape, classes = SETS[name]
    source = open_source(f"npz:{folder(name)}")
    assert source.test is not None
    assert (len(source.train), len(source.test)) == (train, test)
    assert source.train.data.shape == source.test.data.shape == shape
    assert not source.unreadable
    if classes is None:
        assert source.train.labels is None
        return
    assert source.train.labels is not None
    assert set(source.train.labels.tolist()) == set(range(classes))
    assert len(source.train.class_names or ()) == classes


def test_every_pixel_of_a_set_arrives() -> None:
    path = folder("fashion_products")
    split = open_source(f"npz:{path}").train
    with np.load(path / "train.npz") as stored:
        images, attributes = stored["images"], stored["attributes"]
        products = stored["source_id"]
    got = split.data.read(np.arange(len(split))).permute(0, 2, 3, 1)
    assert np.array_equal(got.numpy(), images)
    assert split.attributes is not None
    assert np.array_equal(split.attributes.values, attributes)
    assert np.array_equal(split.factors["source_id"], products)


def test_a_limited_and_reduced_set() -> None:
    source = open_source(f"npz:{folder('omniglot_small')}", limit=1_210, size=28, channels=3)
    assert source.train.data.shape == (3, 28, 28)
    assert sum(map(len, source.splits.values())) == 1_210
    counts = sum(np.bincount(part.labels, minlength=242) for part in source.splits.values())
    assert np.all(counts == 5)


def test_description_of_real_attributes() -> None:
    described = describe(open_source(f"npz:{folder('cifar10')}"))
    train = described["splits"]["train"]
    assert set(train["class_counts"].values()) == {2_500}
    assert train["label_entropy_bits"] == pytest.approx(np.log2(10))
    superclass = train["attributes"][0]
    # six of ten classes are animals
    assert superclass["entropy_bits"] == pytest.approx(-0.6 * np.log2(0.6) - 0.4 * np.log2(0.4))
    # published for the whole of CIFAR-10; this is a half of it
    np.testing.assert_allclose(train["mean"], [0.4914, 0.4822, 0.4465], atol=0.005)
    np.testing.assert_allclose(train["std"], [0.2470, 0.2435, 0.2616], atol=0.005)


def test_a_folder_of_photos() -> None:
    source = open_source(f"folder:{folder('coco_cc_mini')}", size=96)
    assert source.train.labels is None
    assert sum(map(len, source.splits.values())) == 33
    assert source.train.data.shape == (3, 96, 96)
