from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from viewfinder.core.errors import UserError
from viewfinder.data import files
from viewfinder.data.files import FileImages, load_files
from viewfinder.data.source import Source, sides_of
from viewfinder.data.sources.table import open_source
from viewfinder.data.stored import ArrayData

Maker = Callable[..., Image.Image]


def colour_of(path: str) -> list[int]:
    return np.random.default_rng(list(path.encode())).integers(0, 256, 3).tolist()


def fill(root: Path, paths: list[str]) -> Path:
    """Write a picture of one colour, the path's own, for each path."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 10), tuple(colour_of(path))).save(root / path)
    return root


def classes_of(source: Source) -> dict[str, str]:
    """The class name of every path, over train and test."""
    found = {}
    for split in (source.train, source.test):
        assert split is not None
        assert split.paths is not None
        assert split.labels is not None
        assert split.class_names is not None
        found |= {
            path: split.class_names[label]
            for path, label in zip(split.paths, split.labels, strict=True)
        }
    return found


def test_class_folders(class_tree: Path) -> None:
    source = open_source(f"folder:{class_tree}", size=16)
    classes = classes_of(source)
    assert len(classes) == 10
    assert all(path.split("/")[0] == name for path, name in classes.items())
    assert source.train.data.shape == (3, 16, 16)
    assert source.test is not None
    assert len(source.test) == 2  # one of 6 and one of 4
    assert any("stratified fifth" in note for note in source.notes)


def test_pixels_belong_to_their_paths(tmp_path: Path) -> None:
    paths = [f"{name}/{i}.png" for name in "abc" for i in range(7)]
    fill(tmp_path, paths)
    (tmp_path / "a" / "3.png").write_bytes(b"")
    (tmp_path / "c" / "0.png").write_bytes(b"x")
    for name in ("a/1.png", "b/2.png"):  # damage inside, found when decoding
        data = (tmp_path / name).read_bytes()
        place = data.index(b"IDAT") + 6
        (tmp_path / name).write_bytes(data[:place] + bytes(9) + data[place + 9 :])
    source = open_source(f"folder:{tmp_path}", size=5, limit=20)
    assert 3 <= len(source.unreadable) <= 4
    for split in source.splits.values():
        assert split.paths is not None
        pixels = split.data.read(np.arange(len(split)))
        for image, path in zip(pixels, split.paths, strict=True):
            assert image[:, 2, 2].tolist() == colour_of(path)
            assert len(image.unique()) <= 3
    assert sum(map(len, source.splits.values())) == 20 - len(source.unreadable)


def test_one_folder_of_photos_of_mixed_sizes(tmp_path: Path, make_picture: Maker) -> None:
    for i in range(11):
        make_picture(i, 10 + 7 * i, 90 - 6 * i).save(tmp_path / f"IMG_{i:04}.JPG", "JPEG")
    source = open_source(f"folder:{tmp_path}")
    assert source.train.labels is None
    assert source.train.data.shape == (3, 64, 64)
    assert source.test is not None
    assert (len(source.train), len(source.test)) == (9, 2)
    assert any("no labels" in note for note in source.notes)
    assert any("2 images, a random fifth" in note for note in source.notes)


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["2019/05/a.png", "2019/06/b.png", "2020/07/c.png"], "no image lies exactly one"),
        (["a/1.png", "b/2.png", "cover.png"], "cover.png"),
        (["all/1.png", "all/2.png"], "the one folder all"),
    ],
)
def test_nesting_that_is_no_classes(tmp_path: Path, paths: list[str], reason: str) -> None:
    source = open_source(f"folder:{fill(tmp_path, paths)}", size=4)
    assert source.train.labels is None
    assert any("no labels" in note and reason in note for note in source.notes)


@pytest.mark.parametrize(("train", "val"), [("train", "val"), ("Training", "validation")])
def test_train_and_val_trees(tmp_path: Path, train: str, val: str) -> None:
    paths = [f"{split}/{name}/{i}.png" for split in (train, val) for name in "ab" for i in "123"]
    source = open_source(f"folder:{fill(tmp_path, [*paths, 'loose.png'])}", size=4)
    assert sorted(source.splits) == ["test", "train"]
    assert all(path.split("/")[1] == name for path, name in classes_of(source).items())
    assert len(source.train) == 6
    assert any("validation split is used as test" in note for note in source.notes)
    assert any("left out: 1 image beside the split folders" in note for note in source.notes)


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    paths = [f"{name}/{i}.png" for name in ("bus", "car", "train") for i in "123"]
    source = open_source(f"folder:{fill(tmp_path, paths)}", size=4)
    assert source.train.class_names == ["bus", "car", "train"]


@pytest.mark.parametrize("in_memory", [True, False])
def test_photographs_keep_the_sides_they_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.setattr(files, "MEMORY_LIMIT", 0)
    shapes = [(12, 10), (10, 12), (9, 9), (136, 102), (30, 20)]
    for i, (height, width) in enumerate(shapes):
        Image.new("RGB", (width, height)).save(tmp_path / f"{i}.png")
    (tmp_path / "2.jpg").write_bytes(b"\xff\xd8\xff no image")  # which moves the rows
    source = open_source(f"folder:{tmp_path}", size=8)
    for split in source.splits.values():
        assert split.paths is not None
        assert split.data.read(np.arange(len(split))).shape[1:] == split.data.shape == (3, 8, 8)
        sides = sides_of(split.data)
        assert sides is not None
        assert sides.tolist() == [list(shapes[int(Path(p).stem)]) for p in split.paths]
    for path in tmp_path.glob("*.png"):
        Image.new("RGB", (12, 12)).save(path)
    assert sides_of(open_source(f"folder:{tmp_path}", size=8).train.data) is None


def test_three_splits_and_an_unlabelled_test(tmp_path: Path) -> None:
    paths = [f"{split}/{name}/{i}.png" for split in ("train", "val") for name in "ab" for i in "12"]
    source = open_source(f"folder:{fill(tmp_path, [*paths, 'test/1.png', 'test/2.png'])}", size=4)
    assert list(source.splits) == ["train", "test", "unlabeled"]
    assert source.test is not None
    assert source.test.labels is not None
    assert source.splits["unlabeled"].labels is None
    with_classes = [f"test/{name}/{i}.png" for name in "bc" for i in "12"]
    source = open_source(f"folder:{fill(tmp_path / 'x', [*paths, *with_classes])}", size=4)
    assert list(source.splits) == ["train", "test", "val"]
    assert source.train.class_names == ["a", "b", "c"]
    assert any("test: 1 classes are not in train (c)" in note for note in source.notes)


def test_folders_of_the_unlabelled_split_are_no_classes(tmp_path: Path) -> None:
    paths = [f"{split}/{name}/{i}.png" for split in ("train", "val") for name in "ab" for i in "12"]
    extra = [f"unlabeled/part{i}/{i}.png" for i in range(3)]
    source = open_source(f"folder:{fill(tmp_path, [*paths, *extra])}", size=4)
    assert source.splits["unlabeled"].labels is None
    assert source.train.class_names == ["a", "b"]


def test_labels_file_wins(tmp_path: Path, class_tree: Path) -> None:
    paths = sorted(path.relative_to(class_tree).as_posix() for path in class_tree.glob("*/*"))
    lines = [f"{path},{'even' if int(path[5]) % 2 == 0 else 'odd'}" for path in paths]
    (tmp_path / "l.csv").write_text("path,label\n" + "\n".join(reversed(lines)))
    source = open_source(f"folder:{class_tree}", size=4, labels=tmp_path / "l.csv")
    assert {f"{path},{name}" for path, name in classes_of(source).items()} == set(lines)
    (tmp_path / "l.csv").write_text("path,label\n" + "\n".join(lines[1:]))
    with pytest.raises(UserError, match=r"1 of 10 images have no label \(cats/0.png\)"):
        open_source(f"folder:{class_tree}", labels=tmp_path / "l.csv", strict=True)
    source = open_source(f"folder:{class_tree}", size=4, labels=tmp_path / "l.csv")
    assert any("1 of 10 images have no label (cats/0.png)" in note for note in source.notes)
    found = {
        path: label
        for split in source.splits.values()
        for path, label in zip(split.paths or (), split.labels.tolist(), strict=True)  # type: ignore[union-attr]
    }
    assert [path for path, label in found.items() if label < 0] == ["cats/0.png"]


def test_a_broken_image_needs_no_line(tmp_path: Path, class_tree: Path) -> None:
    paths = sorted(path.relative_to(class_tree).as_posix() for path in class_tree.glob("*/*"))
    lines = [f"{path},{'ab'[i % 2]}" for i, path in enumerate(paths)]
    (tmp_path / "l.csv").write_text("path,label\n" + "\n".join(lines))
    (class_tree / "cats" / "broken.png").write_bytes(b"no picture")
    source = open_source(f"folder:{class_tree}", size=4, labels=tmp_path / "l.csv")
    assert len(source.unreadable) == 1
    assert not any("no label" in note for note in source.notes)


def test_unreadable_files_are_listed_and_the_rest_is_aligned(
    class_tree: Path, bad_files: dict[str, Path]
) -> None:
    for path in bad_files.values():
        target = class_tree / "cats" / f"1{path.name}"
        shutil.copy(path, target, follow_symlinks=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = open_source(f"folder:{class_tree}", size=4)
    assert len(source.unreadable) == len(bad_files)
    assert {path.name for path, _ in source.unreadable} == {
        f"1{path.name}" for path in bad_files.values()
    }
    assert any(f"skipped: {len(bad_files)} unreadable file" in n for n in source.notes)
    classes = classes_of(source)
    assert len(classes) == 10
    assert all(path.split("/")[0] == name for path, name in classes.items())
    with pytest.raises(UserError, match=r"is unreadable: .*data.strict=false"):
        open_source(f"folder:{class_tree}", size=4, strict=True)


def test_damage_found_only_when_decoding(class_tree: Path) -> None:
    good = (class_tree / "dogs" / "0.png").read_bytes()
    middle = len(good) // 2
    broken = class_tree / "dogs" / "0.png"
    broken.write_bytes(good[:middle] + bytes(40) + good[middle + 40 :])
    source = open_source(f"folder:{class_tree}", size=4)
    assert [path for path, _ in source.unreadable] == [broken]
    classes = classes_of(source)
    assert len(classes) == 9
    assert all(path.split("/")[0] == name for path, name in classes.items())
    paths = [class_tree / "cats" / "0.png", broken]
    lazy, rows, failed = load_files(paths, 4, 3, strict=False, in_memory=False)
    assert len(rows) == 2
    assert not failed
    with pytest.warns(UserWarning, match="0.png became unreadable"):
        assert bool((lazy.read(np.array([0, 1]))[1] == 127).all())
    lazy, _, _ = load_files(paths, 4, 3, strict=True, in_memory=False)
    with pytest.raises(UserError, match="unreadable"):
        lazy.read(np.array([1]))


def test_reading_from_files_equals_memory(
    class_tree: Path, bad_files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(bad_files["truncated_jpeg"], class_tree / "cats" / "z.jpg")
    kept = open_source(f"folder:{class_tree}", size=8)
    monkeypatch.setattr(files, "MEMORY_LIMIT", 100)
    decoded: list[Path] = []
    plain_decode = files.decode

    def counting(path: Path, size: int, channels: int) -> np.ndarray:
        decoded.append(path)
        return plain_decode(path, size, channels)

    monkeypatch.setattr(files, "decode", counting)
    lazy = open_source(f"folder:{class_tree}", size=8)
    # opening decodes only what seems cut off
    assert [path.name for path in decoded] == ["z.jpg"]
    assert lazy.unreadable == kept.unreadable
    assert lazy.notes == kept.notes
    for name in ("train", "test"):
        index = np.random.default_rng(0).permutation(len(kept.splits[name]))
        expected = kept.splits[name].data.read(index)
        assert torch.equal(lazy.splits[name].data.read(index), expected)
        np.testing.assert_array_equal(lazy.splits[name].labels, kept.splits[name].labels)
    assert isinstance(lazy.train.data.whole, FileImages)  # type: ignore[attr-defined]
    assert isinstance(kept.train.data.whole, ArrayData)  # type: ignore[attr-defined]


def test_each_file_is_decoded_once_where_it_fits(
    class_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []
    plain_decode = files.decode

    def counting(path: Path, size: int, channels: int) -> np.ndarray:
        decoded.append(path)
        return plain_decode(path, size, channels)

    monkeypatch.setattr(files, "decode", counting)
    source = open_source(f"folder:{class_tree}", size=8)
    source.train.data.read(np.arange(len(source.train)))
    assert len(decoded) == len(set(decoded)) == 10


def test_channels_follow_the_files_unless_asked(tmp_path: Path, make_picture: Maker) -> None:
    for i in range(4):
        make_picture(i, channels=1).save(tmp_path / f"{i}.png")
    assert open_source(f"folder:{tmp_path}", size=4).train.data.shape[0] == 1
    source = open_source(f"folder:{tmp_path}", size=4, channels=3)
    assert any("4 of 4 images were grey" in note for note in source.notes)
    make_picture(9).save(tmp_path / "colour.png")
    source = open_source(f"folder:{tmp_path}", size=4)
    assert source.train.data.shape[0] == 3
    assert any("4 of 5 images were grey" in note for note in source.notes)
    source = open_source(f"folder:{tmp_path}", size=4, channels=1)
    assert any("1 of 5 images were RGB" in note for note in source.notes)
    with pytest.raises(UserError, match=r"data\.channels is 4"):
        open_source(f"folder:{tmp_path}", channels=4)


def test_limit_is_class_balanced(class_tree: Path) -> None:
    source = open_source(f"folder:{class_tree}", size=4, limit=5, seed=1)
    classes = list(classes_of(source).values())
    assert (classes.count("cats"), classes.count("dogs")) == (3, 2)
    again = open_source(f"folder:{class_tree}", size=4, limit=5, seed=1)
    assert classes_of(source) == classes_of(again)


def test_hidden_and_foreign_files_are_passed_over(class_tree: Path) -> None:
    for name in (".hidden.jpg", "._0.jpg", "Thumbs.db", "notes.txt", "photo.heic"):
        (class_tree / "cats" / name).write_bytes(b"x")
    for folder in (".git", "__MACOSX"):
        (class_tree / folder).mkdir()
        (class_tree / folder / "x.jpg").write_bytes(b"x")
    source = open_source(f"folder:{class_tree}", size=4)
    assert len(classes_of(source)) == 10
    assert not source.unreadable
    assert any("passed over: 1 .heic file," in note for note in source.notes)


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path, class_tree: Path) -> None:
    root = tmp_path / "linked"
    (root / ".store").mkdir(parents=True)
    for name in ("cats", "dogs"):
        shutil.copytree(class_tree / name, root / ".store" / name)
        (root / name).symlink_to(Path(".store") / name)
    (root / ".store" / "cats" / "loop").symlink_to(root)
    source = open_source(f"folder:{root}", size=4)
    assert len(classes_of(source)) == 10
    assert not any("links" in note for note in source.notes)


def test_links_out_of_the_folder_are_left_out_and_counted(tmp_path: Path, class_tree: Path) -> None:
    secret = tmp_path / "secret"
    fill(secret, ["1.png", "2.png"])
    before = len(classes_of(open_source(f"folder:{class_tree}", size=4)))
    (class_tree / "cats" / "other.png").symlink_to(secret / "1.png")
    (class_tree / "private").symlink_to(secret)
    (class_tree / "dogs" / "up").symlink_to("..")  # it stays inside
    source = open_source(f"folder:{class_tree}", size=4)
    assert len(classes_of(source)) == before
    (note,) = (note for note in source.notes if "links" in note)
    assert note.startswith("2 links that lead out of the folder (cats/other.png, private)")
    root = tmp_path / "only links"
    root.mkdir()
    (root / "photos").symlink_to(class_tree)
    with pytest.raises(UserError, match=r"0 readable images.*1 links that lead out of the folder"):
        open_source(f"folder:{root}")
    (tmp_path / "named").symlink_to(class_tree)  # the folder itself may be a link
    assert len(classes_of(open_source(f"folder:{tmp_path / 'named'}", size=4))) == before


@pytest.mark.skipif(os.name != "posix", reason="file names of bytes")
def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    fill(tmp_path, ["1.png", "2.png", "3.png"])
    try:
        (tmp_path / "1.png").rename(tmp_path / os.fsdecode(b"\xff\n.png"))
    except OSError:
        pytest.skip("this file system wants text")
    source = open_source(f"folder:{tmp_path}", size=4)
    for split in source.splits.values():
        assert split.paths is not None
        for path in split.paths:
            path.encode("utf-8")


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images(tmp_path: Path, bad_files: dict[str, Path], count: int) -> None:
    root = tmp_path / "few"
    root.mkdir()
    (root / "video.mov").write_bytes(b"x")
    fill(root, [f"{i}.png" for i in range(count)])
    with pytest.raises(UserError, match=rf"{count} readable images? .*\.mov"):
        open_source(f"folder:{root}")
    shutil.copy(bad_files["zero"], root / "z1.jpg")
    shutil.copy(bad_files["text"], root / "z2.jpg")
    with pytest.raises(UserError, match=rf"{count} readable images? .*unreadable: 2.*0 bytes"):
        open_source(f"folder:{root}")


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        open_source(f"folder:{tmp_path / 'none'}")
    (tmp_path / "f").touch()
    with pytest.raises(UserError, match="is a file"):
        open_source(f"folder:{tmp_path / 'f'}")
