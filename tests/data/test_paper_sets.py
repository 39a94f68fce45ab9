from __future__ import annotations

import csv
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viewfinder.core.errors import UserError
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Source
from viewfinder.data.sources.imagenet import read_imagenet, read_imagenet100
from viewfinder.data.sources.paper_sets import (
    classes_by_size,
    read_cub,
    read_wider,
    read_zappos,
    zappos_rows,
)

DATA = os.environ.get("VIEWFINDER_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="VIEWFINDER_DATA is not set")

PLAIN = ReadOptions()


def save(path: Path, level: int) -> None:
    """A picture of one grey level, so that it can be known again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 18), (level, level, level)).save(path, quality=95)


def level(source: Source, split: str, row: int) -> int:
    return int(source.splits[split].data.read(np.array([row])).float().mean().round())


@pytest.fixture
def zappos(tmp_path: Path) -> Path:
    """Ten shoes: six sneakers, three ankle boots, one slipper; the value of Gender.Men is i % 2."""
    kinds = ["Shoes/Sneakers"] * 6 + ["Boots/Ankle"] * 3 + ["Slippers/Boot"]
    lines = ["CID,Category.Shoes,SubCategory.Ankle,Gender.Men,Material.Suede"]
    for i, kind in enumerate(kinds):
        save(tmp_path / "ut-zap50k-images" / kind / "A%2E" / f"{100 + i}.{i}.jpg", 20 * i)
        lines.append(f"{100 + i}-{i},{int(kind < 'Sh')},0,{i % 2},{int(i < 3)}")
    folder = tmp_path / "ut-zap50k-data"
    folder.mkdir()
    (folder / "meta-data-bin.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_zappos(zappos: Path) -> None:
    source = read_zappos(str(zappos), PLAIN)
    order = np.random.RandomState(0).permutation(10)
    assert [len(source.splits[s]) for s in ("train", "test")] == [7, 3]
    assert source.train.data.shape == (3, 32, 32)
    for split, rows in (("train", order[:7]), ("test", order[7:])):
        part = source.splits[split]
        assert part.attributes is not None
        assert list(part.attributes.names) == ["Gender.Men", "Material.Suede"]
        assert part.attributes.values[:, 0].tolist() == [i % 2 for i in rows]
        assert [level(source, split, r) for r in range(len(rows))] == pytest.approx(
            20 * rows, abs=2
        )
        assert part.labels is not None
        assert part.class_names is not None
        names = [part.class_names[label] for label in part.labels]
        assert names == [str(p).rsplit("/", 2)[0] for p in part.paths or ()]
    assert source.train.labels is not None
    times = np.bincount(source.train.labels).tolist()
    assert times == sorted(times, reverse=True)


def test_zappos_limited_keeps_attributes_beside_their_images(zappos: Path) -> None:
    source = read_zappos(str(zappos), ReadOptions(limit=4, size=8))
    assert source.train.attributes is not None
    for row in range(4):
        i = round(level(source, "train", row) / 20)
        assert source.train.attributes.values[row].tolist() == [i % 2, int(i < 3)]


def test_zappos_broken(zappos: Path) -> None:
    (zappos / "ut-zap50k-images" / "Boots" / "Ankle" / "A%2E" / "107.7.jpg").unlink()
    with pytest.raises(UserError, match=r"1 of 10 images .*107-7.*unpack"):
        read_zappos(str(zappos), PLAIN)
    file = zappos / "ut-zap50k-data" / "meta-data-bin.csv"
    file.write_text(file.read_text().replace("109-9,0", "109-9,yes"))
    with pytest.raises(UserError, match=r"1 lines hold something else than 0 and 1 \(109-9\)"):
        read_zappos(str(zappos), PLAIN)
    file.unlink()
    with pytest.raises(UserError, match=r"holds no ut-zap50k-data.*vision.cs.utexas.edu"):
        read_zappos(str(zappos), PLAIN)


@needs_data
def test_zappos_split_and_classes_are_the_released_ones() -> None:
    rows: dict[str, list[tuple[int, str, int]]] = {}
    for split in ("train", "val"):
        name = f"UT-zappos50K_meta_data_{split}.csv.xz"
        with lzma.open(Path(str(DATA)) / "tables" / "cl_infonce" / name, "rt", newline="") as file:
            table = list(csv.reader(file))[1:-1]  # the last row is a summary
        rows[split] = [(int(row[0]), row[1], int(row[2])) for row in table]
    n = len(rows["train"]) + len(rows["val"])
    found = zappos_rows(n)
    np.testing.assert_array_equal(found["train"], [row[0] for row in rows["train"]])
    np.testing.assert_array_equal(found["test"], [row[0] for row in rows["val"]])
    paths = [path for _, path, _ in sorted(rows["train"] + rows["val"])]
    labels, names = classes_by_size(paths, found["train"])
    np.testing.assert_array_equal(labels[found["train"]], [row[2] for row in rows["train"]])
    np.testing.assert_array_equal(labels[found["test"]], [row[2] for row in rows["val"]])
    assert len(names) == 21


@pytest.fixture
def wider(tmp_path: Path) -> Path:
    maps = {
        "attribute_id_map": {"0": "Male", "1": "Hat", "2": "Logo"},
        "scene_id_map": {"3": "Riot", "11": "Meeting", "0": "Parade"},
    }
    boxes = [
        [[1, -1, 0], [-1, -1, 0]],
        [[0, 1, -1], [1, 1, -1]],
        [[-1, -1, -1]],
        [[0, 0, 1]],
        [[-1, 1, 1], [1, -1, -1]],
    ]
    images = []
    for i, (targets, scene) in enumerate(zip(boxes, (0, 3, 11, 3, 0), strict=True)):
        part = ("train", "val", "train", "test", "test")[i]
        name = f"{part}/{scene}--x/{i}.jpg"
        save(tmp_path / "Image" / name, 20 * i)
        images.append(
            {
                "targets": [{"attribute": a, "bbox": [0, 0, 1, 1]} for a in targets],
                "file_name": name,
                "scene_id": scene,
            }
        )
    folder = tmp_path / "wider_attribute_annotation"
    folder.mkdir()
    for part, chosen in (("trainval", images[:3]), ("test", images[3:])):
        (folder / f"wider_attribute_{part}.json").write_text(json.dumps({"images": chosen, **maps}))
    return tmp_path


def test_wider_joins_the_boxes_of_an_image(wider: Path) -> None:
    source = read_wider(str(wider), ReadOptions(size=16))
    train, test = source.splits["train"], source.splits["test"]
    assert train.attributes is not None
    assert test.attributes is not None
    assert train.attributes.values.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert test.attributes.values.tolist() == [[0, 0, 1], [1, 1, 1]]
    assert list(train.attributes.names) == ["Male", "Hat", "Logo"]
    assert train.class_names == ["Parade", "Riot", "Meeting"]
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1, 2]
    assert level(source, "test", 1) == pytest.approx(80, abs=2)


def test_wider_broken(wider: Path) -> None:
    file = wider / "wider_attribute_annotation" / "wider_attribute_test.json"
    file.write_text('{"images": [{}]}')
    with pytest.raises(UserError, match="not those of WIDER Attribute"):
        read_wider(str(wider), PLAIN)
    file.write_text("{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        read_wider(str(wider), PLAIN)
    file.unlink()
    with pytest.raises(UserError, match=r"holds no wider_attribute_test.json.*mmlab"):
        read_wider(str(wider), PLAIN)


@pytest.fixture
def cub(tmp_path: Path) -> Path:
    base = tmp_path / "CUB_200_2011"
    names = ["001.Albatross/a.jpg", "001.Albatross/b.jpg", "002.Ani/c.jpg", "002.Ani/d.jpg"]
    for i, name in enumerate(names):
        save(base / "images" / name, 40 * i)
    files = {
        "images.txt": "".join(f"{i + 1} {name}\n" for i, name in enumerate(names)),
        "classes.txt": "1 001.Albatross\n2 002.Ani\n",
        "image_class_labels.txt": "1 1\n2 1\n3 2\n4 2\n",
        "train_test_split.txt": "1 1\n2 0\n3 1\n4 0\n",
        "attributes/image_attribute_labels.txt": "".join(
            # as in the official file, some lines have more columns
            f"{i} {a} {int(i == a)} 3 1.5{' 0' if a == 2 else ''}\n"
            for i in range(1, 5)
            for a in range(1, 4)
        ),
    }
    for name, text in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    (tmp_path / "attributes.txt").write_text(
        "1 has_bill::curved\n2 has_bill::hooked\n3 size::big\n"
    )
    return tmp_path


@pytest.mark.parametrize("folder", [".", "CUB_200_2011"])
def test_cub(cub: Path, folder: str) -> None:
    source = read_cub(str(cub / folder), ReadOptions(size=16))
    train, test = source.splits["train"], source.splits["test"]
    assert train.paths == ["001.Albatross/a.jpg", "002.Ani/c.jpg"]
    assert train.attributes is not None
    assert test.attributes is not None
    assert train.attributes.values.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert test.attributes.values.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert train.attributes.names[1] == "has_bill::hooked"
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1]
    assert train.class_names == ["001.Albatross", "002.Ani"]
    assert [level(source, "test", r) for r in (0, 1)] == pytest.approx([40, 120], abs=2)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("attributes/image_attribute_labels.txt", "4 3 0 3 1.5\n", "", "nothing of 1 of 12"),
        ("attributes/image_attribute_labels.txt", "4 3 0", "4 3 maybe", "line 12 is '4 3 maybe"),
        ("train_test_split.txt", "4 0\n", "", r"1 of 4 images .*no class or no split \(ids 4\)"),
        ("classes.txt", "1 001.Albatross", "1 001 Albatross", "two words per line"),
    ],
)
def test_cub_broken(cub: Path, name: str, old: str, new: str, message: str) -> None:
    file = cub / "CUB_200_2011" / name
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UserError, match=message):
        read_cub(str(cub), PLAIN)


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    for c, name in enumerate(("n01", "n02", "n03")):
        for i in range(3):
            save(tmp_path / "train" / name / f"{name}_{i}.JPEG", 60 * c + i)
        save(tmp_path / "val" / name / f"ILSVRC2012_val_{c}.JPEG", 60 * c)
    return tmp_path


def test_imagenet(imagenet: Path) -> None:
    source = read_imagenet(str(imagenet), ReadOptions(size=8))
    assert source.train.class_names == ["n01", "n02", "n03"]
    assert [len(s) for s in source.splits.values()] == [9, 3]
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert "positives.file" in source.notes[-1]
    (imagenet / "wordnet.is_a.txt").write_text("root n01\n")
    assert "wordnet.is_a.txt" in read_imagenet(str(imagenet), ReadOptions(size=8)).notes[-1]


def test_imagenet100_takes_a_list_of_classes(imagenet: Path) -> None:
    with pytest.raises(UserError, match=r"no list of classes.*imagenet100.txt"):
        read_imagenet100(str(imagenet), PLAIN)
    (imagenet / "imagenet100.txt").write_text("n03 shark\nn01\n")
    source = read_imagenet100(str(imagenet), ReadOptions(size=8))
    assert source.train.class_names == ["n03", "n01"]
    assert source.train.paths is not None
    assert source.train.paths[0] == "train/n03/n03_0.JPEG"
    assert level(source, "test", 0) == pytest.approx(120, abs=2)
    for text, message in [
        ("n03\nn09\n", r"1 of 2 classes have no folder .*n09"),
        ("n03\nn03\n", "n03 twice"),
    ]:
        (imagenet / "imagenet100.txt").write_text(text)
        with pytest.raises(UserError, match=message):
            read_imagenet100(str(imagenet), PLAIN)


def test_imagenet_as_kaggle_packs_it(imagenet: Path) -> None:
    base = imagenet / "ILSVRC" / "Data" / "CLS-LOC"
    base.mkdir(parents=True)
    (imagenet / "train").rename(base / "train")
    (base / "val").mkdir()
    for file in list((imagenet / "val").glob("*/*")):
        file.rename(base / "val" / file.name)
    with pytest.raises(UserError, match=r"3 of 3 images .*have no class.*LOC_val_solution"):
        read_imagenet(str(imagenet), PLAIN)
    (imagenet / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\n"
        + "".join(f"ILSVRC2012_val_{c},n0{3 - c} 1 2 3 4\n" for c in range(3))
    )
    source = read_imagenet(str(imagenet), ReadOptions(size=8))
    test = source.splits["test"]
    assert test.labels is not None
    assert test.labels.tolist() == [2, 1, 0]
    (imagenet / "imagenet100.txt").write_text("n02\n")
    assert len(read_imagenet100(str(imagenet), ReadOptions(size=8)).splits["test"]) == 1


@pytest.mark.parametrize(
    ("reader", "host"),
    [
        (read_zappos, "utexas"),
        (read_wider, "mmlab"),
        (read_cub, "caltech"),
        (read_imagenet, "image-net"),
        (read_imagenet100, "image-net"),
    ],
)
def test_a_missing_download_says_where_it_is_to_be_had(
    reader: Callable[[str, ReadOptions], Source], host: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"there is no folder.*{host}.*unpacked as DIR/"):
        reader(str(tmp_path / "nowhere"), PLAIN)
    if reader is not read_imagenet100:
        with pytest.raises(UserError, match=rf"holds no.*{host}"):
            reader(str(tmp_path), PLAIN)
