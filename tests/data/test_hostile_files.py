"""Every source meets files that are damaged, or are something else: read, or refused by name."""

from __future__ import annotations

import json
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from viewfinder.core.errors import UserError
from viewfinder.data.source import Source
from viewfinder.data.sources.table import SOURCES, open_source
from viewfinder.data.sources.torchvision_sets import SETS

RNG = np.random.default_rng(0)


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(path)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))


def npz(root: Path) -> None:
    images = RNG.integers(0, 256, (8, 6, 6, 3), dtype=np.uint8)
    more = {"attributes": np.arange(16).reshape(8, 2) % 3, "class_names": np.array(["a", "b"])}
    np.savez_compressed(root / "train.npz", images=images, labels=np.arange(8) % 2, **more)
    np.savez(root / "test.npz", images=images, labels=np.arange(8) % 2, **more)


def folder(root: Path) -> None:
    for i in range(8):
        image(root / ("cats" if i % 2 else "dogs") / f"{i}.{('png', 'jpg', 'gif', 'webp')[i % 4]}")


def zappos(root: Path) -> None:
    lines = ["CID,Category.Shoes,Gender.Men"]
    for i in range(10):
        image(root / "ut-zap50k-images" / "Shoes" / "Flat" / "A" / f"{100 + i}.{i}.jpg")
        lines.append(f"{100 + i}-{i},1,{i % 2}")
    text(root / "ut-zap50k-data" / "meta-data-bin.csv", *lines)


def wider(root: Path) -> None:
    entry = {"targets": [{"attribute": [1, -1]}], "scene_id": 0}
    maps = {"attribute_id_map": {"0": "Male", "1": "Hat"}, "scene_id_map": {"0": "Riot"}}
    for part in ("trainval", "test"):
        listed = [{**entry, "file_name": f"train/0--Riot/{part}{i}.jpg"} for i in range(4)]
        file = root / "wider_attribute_annotation" / f"wider_attribute_{part}.json"
        text(file, json.dumps({**maps, "images": listed}))
        for one in listed:
            image(root / "Image" / str(one["file_name"]))


def cub(root: Path) -> None:
    count = range(1, 9)
    text(root / "images.txt", *(f"{i} 00{i % 2 + 1}.Bird/b{i}.jpg" for i in count))
    text(root / "image_class_labels.txt", *(f"{i} {i % 2 + 1}" for i in count))
    text(root / "classes.txt", "1 001.Bird", "2 002.Bird")
    text(root / "train_test_split.txt", *(f"{i} {int(i < 6)}" for i in count))
    text(root / "attributes" / "attributes.txt", "1 wing::red", "2 wing::blue")
    lines = [f"{i} {a} {i % 2} 3 1.0" for i in count for a in (1, 2)]
    text(root / "attributes" / "image_attribute_labels.txt", *lines)
    for i in count:
        image(root / "images" / f"00{i % 2 + 1}.Bird" / f"b{i}.jpg")


def dtd(root: Path) -> None:
    for part in ("train1", "val1", "test1"):
        text(root / "labels" / f"{part}.txt", *(f"woven/{part}{i}.jpg" for i in range(3)))
        for i in range(3):
            image(root / "images" / "woven" / f"{part}{i}.jpg")


def flower(root: Path) -> None:
    savemat(root / "imagelabels.mat", {"labels": np.arange(8, dtype=np.uint8)[None] % 2 + 1})
    for i in range(8):
        image(root / "jpg" / f"image_{i + 1:05d}.jpg")


def gtsrb(root: Path) -> None:
    for name in ("00000", "00014"):
        for i in range(5):
            image(root / "GTSRB" / "Final_Training" / "Images" / name / f"{i:05d}_00000.ppm")


def aircraft(root: Path) -> None:
    text(root / "data" / "variants.txt", "707-320", "Spitfire Mk I")
    text(root / "data" / "images_variant_trainval.txt", "0000001 707-320", "0000002 Spitfire Mk I")
    text(root / "data" / "images_variant_test.txt", "0000003 707-320")
    for i in (1, 2, 3):
        image(root / "data" / "images" / f"{i:07d}.jpg")


def imagenet(root: Path) -> None:
    text(root / "imagenet100.txt", "n01", "n02 shark")
    text(root / "LOC_val_solution.csv", "ImageId,PredictionString", "v1,n01 1 2 3 4")
    image(root / "val" / "v1.JPEG")
    for i in range(6):
        image(root / "train" / f"n0{i % 2 + 1}" / f"{i}.JPEG")


def stl10(root: Path) -> None:
    place = root / "stl10_binary"
    text(place / "class_names.txt", *"abcdefghij")
    for name in ("train", "test", "unlabeled"):
        pixels = RNG.integers(0, 256, 4 * 3 * 96 * 96, dtype=np.uint8)
        (place / f"{name}_X.bin").write_bytes(pixels.tobytes())
        (place / f"{name}_y.bin").write_bytes(bytes([1, 2, 3, 4]))


def eurosat(root: Path) -> None:
    for i in range(10):
        image(root / "eurosat" / "2750" / ("Forest" if i % 2 else "River") / f"{i}.png")


def aircraft_of_torchvision(root: Path) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    text(data / "variants.txt", "707-320", "Spitfire Mk I")
    for i, part in enumerate(("train", "val", "test")):
        names = [f"{2 * i + k:07d}" for k in range(2)]
        lines = [f"{names[0]} 707-320", f"{names[1]} Spitfire Mk I"]
        text(data / f"images_variant_{part}.txt", *lines)
        for name in names:
            image(data / "images" / f"{name}.jpg")


def food101(root: Path) -> None:
    for part in ("train", "test"):
        names = {kind: [f"{kind}/{part}{i}" for i in range(3)] for kind in ("pie", "soup")}
        text(root / "food-101" / "meta" / f"{part}.json", json.dumps(names))
        for name in (*names["pie"], *names["soup"]):
            image(root / "food-101" / "images" / f"{name}.jpg")


def pets(root: Path) -> None:
    place = root / "oxford-iiit-pet"
    for part in ("trainval", "test"):
        names = [f"{kind}_{part}{i}" for kind in ("Abyssinian", "beagle") for i in range(3)]
        lines = [f"{name} {1 + (name[0] == 'b')} 1 1" for name in names]
        text(place / "annotations" / f"{part}.txt", *lines)
        for name in names:
            image(place / "images" / f"{name}.jpg")


def imagenette(root: Path) -> None:
    for part in ("train", "val"):
        for i, kind in enumerate(("n01440764", "n02102040", "n02979186", "n03000684")):
            image(root / "imagenette2" / part / kind / f"{part}{i}.JPEG")


def sentences(root: Path) -> None:
    text(root / "lines.txt", *(f"word{i} word{i % 3} and another" for i in range(20)))


def of_torchvision(name: str) -> Callable[[Path], None]:
    """What stands where torchvision's set should: its arrays, its lists, or only the like."""

    def write(root: Path) -> None:
        place = root / SETS[name].place
        if place.suffix:
            root.mkdir(exist_ok=True)
            place.write_bytes(RNG.bytes(999))
            return
        for part, n in (("train", 20), ("t10k", 10)):
            for kind, shape in (("images-idx3", (n, 28, 28)), ("labels-idx1", (n,))):
                head = bytes([0, 0, 8, len(shape)])
                head += b"".join(side.to_bytes(4, "big") for side in shape)
                place.mkdir(parents=True, exist_ok=True)
                body = RNG.integers(0, 10, shape, dtype=np.uint8).tobytes()
                (place / f"{part}-{kind}-ubyte").write_bytes(head + body)
        for part in ("train1", "val1", "test1"):
            text(place / "labels" / f"{part}.txt", f"a/{part}.jpg", f"b/{part}.jpg")
            for kind in "ab":
                image(place / "images" / kind / f"{part}.jpg")
                image(place / kind / f"{part}.jpg")

    return write


SAMPLES: dict[str, Callable[[Path], None]] = {
    "npz": npz, "folder": folder, "ut-zappos50k": zappos, "wider-attribute": wider, "cub200": cub,
    "dtd-split1": dtd, "vgg-flower": flower, "gtsrb": gtsrb, "fgvc-aircraft": aircraft,
    "imagenet": imagenet, "imagenet100": imagenet, "stl10": stl10,
    **{name: of_torchvision(name) for name in SETS}, "eurosat": eurosat,
    "aircraft": aircraft_of_torchvision, "food101": food101, "pets": pets,
    "imagenette": imagenette, "text": sentences,
}  # fmt: skip
"""What each source that reads files is shown, before it is damaged."""
WITHOUT_FILES = ("shapes", "digits", "spirals", "moving-digits")
CHECKED_BY_SUM = ("cifar10", "cifar100", "svhn", "flowers102", "usps")
"""torchvision compares their files with checksums, or they are too large to be drawn up here: no
sample opens, so that only their refusal is tested."""


def opened(name: str, root: Path) -> Source:
    """The source of a sample, with images of 8 px."""
    row = SOURCES[name]
    place = root / "lines.txt" if name == "text" else root
    spec = f"{name}:{place}" if row.bare else name
    return open_source(spec, root=root, size=8 if row.modality == "images" else None)


def test_every_source_has_a_sample() -> None:
    assert {*SAMPLES, *WITHOUT_FILES} == {*SOURCES}


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in CHECKED_BY_SUM])
def test_a_sample_opens_before_it_is_damaged(name: str, tmp_path: Path) -> None:
    """Otherwise each damage would be met by the same refusal."""
    SAMPLES[name](tmp_path)
    source = opened(name, tmp_path)
    assert len(source.train) >= 2


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    for at in rng.integers(0, len(out), 1 + len(out) // 500) if out else ():
        out[at] ^= 1 << int(rng.integers(0, 8))
    return bytes(out)


def damaged(data: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """What may become of the content of a file."""
    yield "one bit", flipped(data[:500], rng) + data[500:]
    yield "bits", flipped(data, rng)
    yield "bits at the end", data[:-500] + flipped(data[-500:], rng)
    yield "cut", data[: int(rng.integers(0, len(data) + 1))]
    yield "another header", rng.bytes(64) + data[64:]
    yield "empty", b""
    yield "noise", rng.bytes(300)
    yield "no text", b"\xff\xfe" + data
    yield "zeros", bytes(len(data))
    yield "long numbers", data.replace(b"1", b"9" * 5_000) if len(data) < 9_000 else b"9" * 5_000
    yield "other marks", data.replace(b",", b";").replace(b" ", b"\t\t")[::-1]
    yield "depth", b"[" * 5_000


def meets(name: str, root: Path) -> None:
    """Opens and reads the source: what goes wrong is a UserError of a few lines, and soon."""
    started = time.process_time()
    try:
        source = opened(name, root)
        for split in source.splits.values():
            split.data.read(np.arange(len(split)))
            dict(split.factors)
    except UserError as error:
        told = str(error)
        assert 10 < len(told) < 3_500
    assert time.process_time() - started < 10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SAMPLES)
def test_a_source_reads_or_refuses_whatever_has_become_of_a_file(name: str, tmp_path: Path) -> None:
    SAMPLES[name](tmp_path)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    meets(name, tmp_path)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    kinds = {file.suffix: file for file in files if file.suffix in (".jpg", ".png", ".ppm")}
    chosen = [f for f in files if f.suffix.lower() not in (".jpg", ".png", ".ppm", ".jpeg")]
    for file in [*kinds.values(), *chosen[:8]]:
        whole = file.read_bytes()
        for _, data in damaged(whole, rng):
            file.write_bytes(data)
            meets(name, tmp_path)
        file.unlink()
        meets(name, tmp_path)
        file.mkdir()
        meets(name, tmp_path)
        file.rmdir()
        for device in ("/dev/zero", "/dev/null", "/proc", str(file)):
            file.symlink_to(device)
            meets(name, tmp_path)
            file.unlink()
        file.write_bytes(whole)


PLACES = ["", "/dev/null", "/dev/zero", "/proc", "/dev", "~nouser/x", "x" * 3_000, "a\0b", "."]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_source_reads_or_refuses_whatever_stands_in_its_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in PLACES:
        with pytest.raises(UserError) as caught:
            open_source(f"{name}:{place}" if SOURCES[name].bare else name, root=place or None)
        assert len(str(caught.value)) < 3_500


def test_a_header_of_a_trillion_rows_is_refused_before_it_is_believed(tmp_path: Path) -> None:
    shape = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 8, 8, 3)}
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("images.npy", "w") as to:
        np.lib.format.write_array_header_1_0(to, shape)
        to.write(b"123")
    with pytest.raises(UserError, match=r"a\.npz .*1000000000000.* holds"):
        open_source(f"npz:{tmp_path}/a.npz")


def test_names_that_are_no_text_are_read_and_shown(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(4):
        image(tmp_path / "one.png")
        (tmp_path / "one.png").rename(root / os.fsdecode(b"caf\xe9%d.png" % i))
    source = open_source(f"folder:{tmp_path}/photos")
    assert sum(map(len, source.splits.values())) == 4
    for path in source.train.paths or ():
        assert path.encode()
