from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from viewfinder.core.errors import UserError
from viewfinder.data.sources import npz
from viewfinder.data.sources.npz import NpzFile
from viewfinder.data.sources.table import open_source

RNG = np.random.default_rng(0)


def pixels(count: int, height: int = 6, width: int = 4, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def write_set(root: Path, test: str = "test", **more: Any) -> dict[str, np.ndarray]:
    root.mkdir(parents=True, exist_ok=True)
    train = {
        "images": pixels(12),
        "labels": np.arange(12) % 3,
        "class_names": np.array(["a", "b", "c"]),
        "attributes": np.stack([np.arange(12) % 2, np.full(12, -1)], 1),
        "attribute_names": np.array(["size", "mood"]),
        "size_names": np.array(["small", "large"]),
        "masks": RNG.integers(0, 2, (12, 6, 4), dtype=np.uint8),
        "class_parents": np.array(["x", "x", "y"]),
        **more,
    }
    np.savez(root / "train.npz", **train)
    held = {key: value[:6] if len(value) == 12 else value for key, value in train.items()}
    np.savez_compressed(root / f"{test}.npz", **held)
    return train


def test_a_folder_of_splits(tmp_path: Path) -> None:
    train = write_set(tmp_path)
    source = open_source(f"npz:{tmp_path}")
    split = source.train
    assert list(source.splits) == ["train", "test"]
    assert split.data.shape == (3, 6, 4)
    got = split.data.read(np.array([7, 0]))
    np.testing.assert_array_equal(got.permute(0, 2, 3, 1), train["images"][[7, 0]])
    np.testing.assert_array_equal(split.labels, train["labels"])
    assert split.class_names == ["a", "b", "c"]
    assert split.attributes is not None
    assert list(split.attributes.names) == ["size", "mood"]
    assert split.attributes.value_names == {"size": ["small", "large"]}
    np.testing.assert_array_equal(split.attributes.values, train["attributes"])
    assert list(split.factors) == ["masks"]
    np.testing.assert_array_equal(split.factors["masks"], train["masks"])
    assert source.notes == []


def test_factors_are_read_when_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = write_set(tmp_path)
    loaded: list[str] = []
    plain_load = NpzFile.load

    def counting(self: NpzFile, key: str) -> np.ndarray:
        loaded.append(key)
        return plain_load(self, key)

    monkeypatch.setattr(NpzFile, "load", counting)
    source = open_source(f"npz:{tmp_path}", limit=6)
    assert "masks" not in loaded
    rows = source.train.factors["source_row"]
    np.testing.assert_array_equal(source.train.factors["masks"], train["masks"][rows])
    assert source.train.attributes is not None
    np.testing.assert_array_equal(source.train.attributes.values, train["attributes"][rows])
    np.testing.assert_array_equal(source.train.labels, train["labels"][rows])
    assert "masks" in loaded


def test_one_file_or_a_folder_with_one_file_holds_a_part_out(tmp_path: Path) -> None:
    images, labels = pixels(20), np.arange(20) % 2
    np.savez(tmp_path / "all.npz", images=images, labels=labels)
    for spec in (tmp_path, tmp_path / "all.npz"):
        source = open_source(f"npz:{spec}")
        assert source.test is not None
        assert np.bincount(source.test.labels).tolist() == [2, 2]
        for split in source.splits.values():
            rows = split.factors["source_row"]
            got = split.data.read(np.arange(len(split))).permute(0, 2, 3, 1)
            np.testing.assert_array_equal(got, images[rows])
            np.testing.assert_array_equal(split.labels, labels[rows])


def test_validation_file_is_the_test_split(tmp_path: Path) -> None:
    write_set(tmp_path, test="val")
    source = open_source(f"npz:{tmp_path}")
    assert list(source.splits) == ["train", "test"]
    assert "validation" in source.notes[-1]


def test_unlabelled(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=pixels(10))
    source = open_source(f"npz:{tmp_path / 'x.npz'}")
    assert source.train.labels is None
    assert source.test is not None
    assert len(source.test) == 2


@given(
    count=st.integers(2, 30),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    channels=st.sampled_from([1, 2, 3, 4, 13]),
    compressed=st.booleans(),
    fortran=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_blocks_are_the_rows_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    height: int,
    width: int,
    channels: int,
    compressed: bool,
    fortran: bool,
    seed: int,
) -> None:
    images = pixels(count, height, width, channels)
    stored = np.asfortranarray(images) if fortran else images
    (np.savez_compressed if compressed else np.savez)(tmp_path / "x.npz", images=stored)
    monkeypatch.setattr(npz, "_BLOCK_BYTES", 64)
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(count) < rng.random())
    blocks = list(NpzFile(tmp_path / "x.npz").blocks("images", rows))
    got = np.concatenate(blocks) if blocks else images[:0]
    np.testing.assert_array_equal(got, images[rows])


def test_grey_without_a_channel_axis(tmp_path: Path) -> None:
    images = pixels(8)[..., 0]
    np.savez(tmp_path / "x.npz", images=images)
    source = open_source(f"npz:{tmp_path / 'x.npz'}", channels=3)
    assert source.train.data.shape == (3, 6, 4)
    row = source.train.factors["source_row"][0]
    assert torch.equal(
        source.train.data.read(np.array([0]))[0], torch.from_numpy(images[row]).expand(3, 6, 4)
    )
    assert any("repeated" in note for note in source.notes)


def test_size_takes_the_centre_square(tmp_path: Path) -> None:
    write_set(tmp_path)
    assert open_source(f"npz:{tmp_path}").train.data.shape == (3, 6, 4)
    source = open_source(f"npz:{tmp_path}", size=4, channels=1)
    assert source.train.data.shape == (1, 4, 4)
    assert any("6x4" in note for note in source.notes)
    assert any("luma" in note for note in source.notes)


def test_labels_file_for_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=pixels(4), labels=np.array([0, 1, 2]))
    (tmp_path / "l.csv").write_text("index,label\n3,b\n2,a\n1,b\n0,a\n")
    # wins over the labels inside, which have the wrong length
    source = open_source(f"npz:{tmp_path / 'x.npz'}", labels=tmp_path / "l.csv")
    assert source.test is not None
    found = np.zeros(4, dtype=int)
    for split in source.splits.values():
        found[split.factors["source_row"]] = split.labels
    assert found.tolist() == [0, 1, 0, 1]
    assert source.train.class_names == ["a", "b"]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"pictures": pixels(3)}, "no key images .it holds pictures"),
        ({"images": pixels(3).astype(np.float32)}, "images have the type float32.*uint8"),
        ({"images": pixels(3).astype(np.int64)}, "images have the type int64"),
        ({"images": pixels(3)[0, 0]}, "shape"),
        ({"images": pixels(3, 3, 32, 32)}, r"transpose\(0, 2, 3, 1\)"),
        ({"images": pixels(1)}, "at least 2"),
        ({"images": pixels(3), "labels": np.zeros(4, int)}, "labels holds 4 labels for 3 images"),
        ({"images": pixels(3), "labels": np.array([0, np.nan, 1])}, "labels: 1 labels are not"),
        ({"images": pixels(3), "labels": np.array([0, -1, 1])}, "labels: 1 labels are negative"),
        ({"images": pixels(3), "labels": np.array([0, {}, 1])}, "labels holds Python objects"),
        ({"images": np.array([{}, 1, 2])}, "images holds Python objects"),
        (
            {"images": pixels(3), "labels": np.arange(3), "class_names": np.array(["a", "b"])},
            "up to 2, but there are 2 class_names",
        ),
        ({"images": pixels(3), "attributes": np.zeros((3, 2))}, "attributes has the type float64"),
        (
            {
                "images": pixels(3),
                "attributes": np.zeros((3, 2), int),
                "attribute_names": np.array(["a"]),
            },
            "1 names .* for 2 attributes",
        ),
        (
            {
                "images": pixels(3),
                "attributes": np.full((3, 1), 5),
                "attribute_names": np.array(["a"]),
                "a_names": np.array(["x", "y"]),
            },
            "attribute a goes up to 5, but a_names holds 2",
        ),
    ],
)
def test_mistakes_in_a_file_are_named(
    tmp_path: Path, arrays: dict[str, np.ndarray], words: str
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=f"x.npz.*{words}"):
        open_source(f"npz:{tmp_path / 'x.npz'}")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    extra = np.array([Hostile(), Hostile(), Hostile()], dtype=object)
    np.savez(tmp_path / "x.npz", images=pixels(3), extra=extra)
    source = open_source(f"npz:{tmp_path / 'x.npz'}")
    assert list(source.train.factors) == ["source_row"]
    np.savez(tmp_path / "y.npz", images=pixels(3), labels=extra)
    with pytest.raises(UserError, match="never loaded"):
        open_source(f"npz:{tmp_path / 'y.npz'}")
    assert not (tmp_path / "executed").exists()


def test_splits_must_agree(tmp_path: Path) -> None:
    write_set(tmp_path)
    np.savez(tmp_path / "test.npz", images=pixels(3, 6, 6))
    with pytest.raises(UserError, match="differ in"):
        open_source(f"npz:{tmp_path}")
    assert open_source(f"npz:{tmp_path}", size=4).train.data.shape == (3, 4, 4)
    other = {"images": pixels(3), "labels": np.arange(3), "class_names": np.array(["c", "b", "a"])}
    np.savez(tmp_path / "test.npz", **other)
    with pytest.raises(UserError, match="differ in class_names"):
        open_source(f"npz:{tmp_path}")


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for content in (b"", b"hello", b"PK\x03\x04" + bytes(50)):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"x\.npz is not a readable npz"):
            open_source(f"npz:{path}")
    np.savez(path, images=pixels(50), labels=np.arange(50) % 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    with pytest.raises(UserError, match="truncated"):
        open_source(f"npz:{path}")
    middle = len(whole) // 3
    path.write_bytes(
        whole[:middle] + bytes(x ^ 255 for x in whole[middle : middle + 9]) + whole[middle + 9 :]
    )
    with pytest.raises(UserError, match="damaged"):
        open_source(f"npz:{path}")
    with zipfile.ZipFile(path, "w") as archive:  # a header that promises more than there is
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9, 9, 9, 3), }\n"
        archive.writestr(
            "images.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )
    with pytest.raises(UserError, match="truncated"):
        open_source(f"npz:{path}")


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file or folder"):
        open_source(f"npz:{tmp_path / 'none'}")
    with pytest.raises(UserError, match="no npz file"):
        open_source(f"npz:{tmp_path}")
    for name in ("first", "second"):
        np.savez(tmp_path / f"{name}.npz", images=pixels(3))
    with pytest.raises(UserError, match=r"no train\.npz; it holds first\.npz, second\.npz"):
        open_source(f"npz:{tmp_path}")
    for name in ("train", "training"):
        np.savez(tmp_path / f"{name}.npz", images=pixels(3))
    with pytest.raises(UserError, match="both the train split"):
        open_source(f"npz:{tmp_path}")


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [5, 8, 16, 32])
def test_channels_in_the_wrong_place_are_never_taken_for_many(
    channels: int, side: int, tmp_path: Path
) -> None:
    right = pixels(6, side, side, channels)
    np.savez(tmp_path / "right.npz", images=right)
    assert open_source(f"npz:{tmp_path / 'right.npz'}").train.data.shape == (channels, side, side)
    np.savez(tmp_path / "wrong.npz", images=right.transpose(0, 3, 1, 2))
    with pytest.raises(UserError, match=r"looks like \(N, C, H, W\).*transpose\(0, 2, 3, 1\)"):
        open_source(f"npz:{tmp_path / 'wrong.npz'}")


def test_unusual_channels_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=pixels(6, 8, 8, 13))
    source = open_source(f"npz:{tmp_path / 'x.npz'}")
    assert source.train.data.shape == (13, 8, 8)
    assert "images have 13 channels: the last axis of the array" in source.notes
