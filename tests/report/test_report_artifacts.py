from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.report.artifacts import (
    load_embeddings,
    load_views,
    save_embeddings,
    save_views,
)


def test_views_come_back_as_the_pixels_they_were(tmp_path: Path) -> None:
    originals = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    view = (255 - originals) / 255
    save_views(tmp_path / "v.npz", originals, [view, view])
    gallery = load_views(tmp_path / "v.npz")
    assert gallery.images.shape == (5, 3, 8, 8, 3)
    expected = originals.permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(gallery.images[:, 0], expected)
    np.testing.assert_array_equal(gallery.images[:, 1], 255 - expected)
    np.testing.assert_array_equal(gallery.images[:, 2], 255 - expected)


def test_views_of_other_sizes_and_channels_share_a_gallery(tmp_path: Path) -> None:
    originals = np.zeros((2, 3, 12, 24), np.uint8)
    views = [np.full((2, 3, 16, 16), 0.5), np.full((2, 2, 8, 8), np.nan)]
    save_views(tmp_path / "v.npz", originals, views)
    gallery = load_views(tmp_path / "v.npz")
    assert gallery.images.shape == (2, 3, 16, 16, 3)
    assert gallery.shapes == [(3, 12, 24), (3, 16, 16), (2, 8, 8)]
    assert (gallery.images[:, 1] == 128).all()
    assert (gallery.images[:, 2] == 0).all()


def test_values_beyond_the_range_of_pixels_are_cut(tmp_path: Path) -> None:
    view = np.array([-9.0, 9.0]).reshape(1, 1, 1, 2)
    save_views(tmp_path / "v.npz", np.zeros((1, 1, 1, 2), np.uint8), [view])
    assert load_views(tmp_path / "v.npz").images[0, 1].ravel().tolist() == [0, 255]


def test_large_views_are_stored_small(tmp_path: Path) -> None:
    save_views(
        tmp_path / "v.npz",
        np.zeros((1, 3, 300, 300), np.uint8),
        [np.zeros((1, 3, 224, 224))],
    )
    gallery = load_views(tmp_path / "v.npz")
    assert gallery.images.shape[2:4] == (96, 96)
    assert gallery.shapes[1] == (3, 224, 224)


def test_embeddings_round_trip_from_tensors_of_any_kind(tmp_path: Path) -> None:
    vectors = torch.randn(4, 6).bfloat16().requires_grad_()
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    names = ["a/ü.png", "</script>", "undecodable\udcff", "x" * 300]
    save_embeddings(
        tmp_path / "deep" / "e.npz",
        vectors,
        images,
        labels=torch.tensor([0, 1, -1, 1]),
        class_names=["a", "b"],
        names=names,
        about="test split",
    )
    found = load_embeddings(tmp_path / "deep" / "e.npz")
    np.testing.assert_array_equal(found.vectors, vectors.detach().float().numpy())
    assert found.thumbnails is not None
    assert found.labels is not None
    np.testing.assert_array_equal(found.thumbnails, images.permute(0, 2, 3, 1).numpy())
    assert found.labels.tolist() == [0, 1, -1, 1]
    assert (found.names, found.class_names, found.about) == (names, ["a", "b"], "test split")


def test_embeddings_alone_are_enough(tmp_path: Path) -> None:
    save_embeddings(tmp_path / "e.npz", np.ones((3, 2)))
    found = load_embeddings(tmp_path / "e.npz")
    assert (found.thumbnails, found.labels, len(found)) == (None, None, 3)
    assert found.name(2) == "image 2"


def test_lengths_that_differ_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 labels for 3 embeddings"):
        save_embeddings(tmp_path / "e.npz", np.ones((3, 2)), labels=[0, 1])
    with pytest.raises(ValueError, match="views of one batch"):
        save_views(
            tmp_path / "v.npz",
            np.zeros((2, 1, 4, 4), np.uint8),
            [np.zeros((3, 1, 4, 4))],
        )


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_nothing_that_is_read_can_execute_code(tmp_path: Path) -> None:
    target = tmp_path / "owned"
    np.savez(tmp_path / "object.npz", embeddings=np.array([Bomb(target)], dtype=object))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Bomb(target)))
    for name in ("object.npz", "pickle.npz"):
        with pytest.raises(UserError, match=name):
            load_embeddings(tmp_path / name)
    assert not target.exists()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x93NUMPY", b"no zip at all"])
def test_damaged_files_are_named(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "v.npz").write_bytes(damage)
    with pytest.raises(UserError, match=r"v\.npz"):
        load_views(tmp_path / "v.npz")


def test_a_truncated_file_and_a_foreign_one_are_named(tmp_path: Path) -> None:
    save_embeddings(tmp_path / "e.npz", np.random.default_rng(0).normal(size=(50, 20)))
    whole = (tmp_path / "e.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cannot be read"):
        load_embeddings(tmp_path / "half.npz")
    with pytest.raises(UserError, match="no array 'views'"):
        load_views(tmp_path / "e.npz")
