from __future__ import annotations

import csv
import errno
import gc
import json
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Modality
from viewfinder.evaluation.embed import write_embeddings
from viewfinder.evaluation.embedding_files import FORMATS
from viewfinder.evaluation.scoring import input_facts
from viewfinder.recipes.recipe import build, complete

Make = Callable[..., Any]


def flat(images: Tensor) -> Tensor:
    return images.float().flatten(1)


def test_columns_types_and_rows(tmp_path: Path, random_images: Make) -> None:
    images, out = random_images(10, (1, 2, 3)), tmp_path / "sub" / "vectors.parquet"
    names = [f"klasse/ä {i}.png" for i in range(10)]
    labels = np.arange(10) % 3
    dim = write_embeddings(
        nn.Identity(),
        images,
        flat,
        out,
        paths=names,
        labels=labels,
        class_names=["a", "ä,b", "c"],
        splits=["train"] * 6 + ["test"] * 4,
        batch_size=4,
        about={"data": "test"},
    )
    table = pq.read_table(out)
    assert dim == 6
    assert table.column_names == ["path", "split", "index", "label", "class_name", "vector"]
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 6)
    assert table["index"].to_pylist() == list(range(10))
    assert table["path"].to_pylist() == names
    assert table["split"].to_pylist() == ["train"] * 6 + ["test"] * 4
    assert table["label"].to_pylist() == labels.tolist()
    assert table["class_name"].to_pylist()[:4] == ["a", "ä,b", "c", "a"]
    vectors = np.stack(table["vector"].to_numpy())
    np.testing.assert_array_equal(vectors, images.images.flatten(1).float().numpy())
    assert table.schema.metadata[b"data"] == b"test"
    file = pq.ParquetFile(out)
    assert [file.metadata.row_group(i).num_rows for i in range(3)] == [4, 4, 2]


def test_only_what_is_given_becomes_a_column(tmp_path: Path, random_images: Make) -> None:
    out = tmp_path / "v.parquet"
    write_embeddings(nn.Identity(), random_images(3), flat, out, index=np.array([7, 3, 5]))
    assert pq.read_table(out).to_pydict()["index"] == [7, 3, 5]
    assert pq.read_table(out).column_names == ["index", "vector"]


class Counted:
    """Images that are made when read, and that count how many are alive at once."""

    modality: Modality = "images"
    shape = (1, 4, 4)

    def __init__(self, number: int) -> None:
        self.number, self.alive, self.most = number, 0, 0

    def __len__(self) -> int:
        return self.number

    def read(self, index: np.ndarray) -> Tensor:
        batch = torch.zeros(len(index), *self.shape, dtype=torch.uint8)
        self.alive += len(index)
        self.most = max(self.most, self.alive)
        weakref.finalize(batch, self._gone, len(index))
        return batch

    def _gone(self, number: int) -> None:
        self.alive -= number


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    images = Counted(4000)
    grew: list[int] = []

    class Watching(nn.Module):
        """Notes how much Arrow holds while the rows go by."""

        def forward(self, x: Tensor) -> Tensor:
            grew.append(pa.total_allocated_bytes())
            return x

    write_embeddings(Watching(), images, flat, tmp_path / "v.parquet", batch_size=50)
    gc.collect()
    # the one in use, the one read ahead, and one that its last user has just left
    assert images.most <= 3 * 50
    assert len(grew) == 80
    assert max(grew[40:]) <= max(grew[:40]) + 50 * 16 * 4


def test_the_encoder_is_as_before(tmp_path: Path, random_images: Make) -> None:
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(48), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    write_embeddings(net, random_images(8), lambda x: x.float(), tmp_path / "v.parquet")
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_full_disk_keeps_the_earlier_file(
    tmp_path: Path, random_images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "v.parquet"
    write_embeddings(nn.Identity(), random_images(3), flat, out)
    earlier = out.read_bytes()
    write = pq.ParquetWriter.write_table
    written: list[int] = []

    def full(writer: pq.ParquetWriter, table: pa.Table) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(1)
        write(writer, table)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(UserError, match=r"v\.parquet cannot be written: No space left"):
        write_embeddings(nn.Identity(), random_images(9), flat, out, batch_size=2)
    assert out.read_bytes() == earlier
    assert files(tmp_path) == ["v.parquet"]


def test_an_error_while_embedding_leaves_no_file(tmp_path: Path, random_images: Make) -> None:
    def infinite(images: Tensor) -> Tensor:
        return flat(images) / 0

    net = nn.Sequential(nn.Dropout()).train()
    with pytest.raises(UserError, match="not finite"):
        write_embeddings(net, random_images(5), infinite, tmp_path / "v.parquet", batch_size=2)
    assert files(tmp_path) == []
    assert net[0].training


def test_a_reading_error_is_not_blamed_on_the_output(tmp_path: Path, random_images: Make) -> None:
    images = random_images(5)

    def gone(index: np.ndarray) -> Tensor:
        raise FileNotFoundError("cat.png")

    images.read = gone
    with pytest.raises(FileNotFoundError, match=r"cat\.png"):
        write_embeddings(nn.Identity(), images, flat, tmp_path / "v.parquet")


def test_places_that_cannot_be_written(tmp_path: Path, random_images: Make) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_embeddings(nn.Identity(), random_images(2), flat, tmp_path / "file" / "v.parquet")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="it is a folder"):
        write_embeddings(nn.Identity(), random_images(2), flat, tmp_path / "folder.csv")


def test_lengths_that_do_not_fit(tmp_path: Path, random_images: Make) -> None:
    out = tmp_path / "v.parquet"
    with pytest.raises(UserError, match="label: 3 values do not fit 2 images"):
        write_embeddings(nn.Identity(), random_images(2), flat, out, labels=np.zeros(3, int))
    with pytest.raises(UserError, match="no images"):
        write_embeddings(nn.Identity(), random_images(0), flat, out)


def read_back(out: Path) -> tuple[np.ndarray, dict[str, list[object]], dict[str, object]]:
    """Vectors, columns and what they are of, by the readers that people have."""
    beside = out.with_name(f"{out.name}.json")
    if out.suffix == ".parquet":
        table = pq.read_table(out)
        columns = {name: table[name].to_pylist() for name in table.column_names}
        vectors = np.array(columns.pop("vector"), np.float32)
        about = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
        return vectors, columns, {k: about[k] for k in ("run", "data_size")}
    if out.suffix == ".npz":
        with np.load(out, allow_pickle=False) as file:
            columns = {n: file[n].tolist() for n in file.files if n not in ("vectors", "about")}
            return file["vectors"], columns, json.loads(str(file["about"]))
    table_file = out if out.suffix == ".csv" else out.with_name(f"{out.name}.csv")
    rows = list(csv.DictReader(table_file.open(encoding="utf-8", newline="")))
    columns = {
        name: [int(row[name]) if name in ("index", "label") else row[name] for row in rows]
        for name in rows[0]
        if not re.fullmatch(r"v\d+", name)
    }
    if out.suffix == ".npy":
        return np.load(out), columns, json.loads(beside.read_text())
    numbers = [[float(row[f"v{i}"]) for i in range(len(row) - len(columns))] for row in rows]
    return np.array(numbers, np.float32), columns, json.loads(beside.read_text())


@pytest.mark.parametrize("unit_length", [False, True])
@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_holds_the_same(
    ending: str, unit_length: bool, tmp_path: Path, random_images: Make
) -> None:
    images, out = random_images(7), tmp_path / f"v{ending}"
    names = [f'ä "{i}",\n.png' for i in range(7)]
    write_embeddings(
        nn.Identity(),
        images,
        lambda x: flat(x) / 255,
        out,
        paths=names,
        labels=np.array([0, 1, -1, 0, 1, 0, 1]),
        class_names=["katze", "hund"],
        splits=["train"] * 7,
        unit_length=unit_length,
        batch_size=3,
        about={"run": "runs/a", "data_size": 64},
    )
    vectors, columns, about = read_back(out)
    want = images.images.flatten(1).numpy() / np.float32(255)
    if unit_length:
        want = want / np.linalg.norm(want, axis=1, keepdims=True)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, want, rtol=1e-6)
    kinds = ["katze", "hund", "", "katze", "hund", "katze", "hund"]
    assert list(columns) == ["path", "split", "index", "label", "class_name"]
    assert columns["path"] == names
    assert columns["index"] == list(range(7))
    assert columns["class_name"] == kinds
    assert {k: str(v) for k, v in about.items()} == {"run": "runs/a", "data_size": "64"}


@pytest.mark.parametrize("ending", FORMATS)
def test_no_format_leaves_half_a_file(ending: str, tmp_path: Path, random_images: Make) -> None:
    def broken(images: Tensor) -> Tensor:
        calls.append(1)
        return flat(images) / (0 if len(calls) == 3 else 1)

    calls: list[int] = []
    with pytest.raises(UserError, match="not finite"):
        write_embeddings(
            nn.Identity(), random_images(9), broken, tmp_path / f"v{ending}", batch_size=2
        )
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["v.xls", "v", "v.parquet.gz"])
def test_another_ending_is_refused_before_anything_is_embedded(
    name: str, tmp_path: Path, random_images: Make
) -> None:
    images = random_images(3)
    with pytest.raises(UserError, match=r"\.parquet, \.csv, \.npy, \.npz"):
        write_embeddings(nn.Identity(), images, flat, tmp_path / name)
    assert images.reads == [] and files(tmp_path) == []


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 64])
def test_what_the_network_is_shown_is_said_in_plain_numbers(channels: int, size: int) -> None:
    recipe = complete(build("simclr", {}), (channels, size, size))
    facts = input_facts(recipe.view_maker().describe_frozen())
    assert facts["input_shape"][0] == channels
    assert len(facts["mean"]) == len(facts["std"]) in (1, channels)
    assert input_facts("whatever a maker of one's own says") == {}
