"""Files that say what counts as the same, damaged in every way: read, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.positives.contract import Given
from viewfinder.positives.table import POSITIVES

WITH_FILE = [row for row in POSITIVES.values() if "file" in row.options.model_fields]
KEY = b"viewfinder.clusters"


def split() -> Split:
    images = ArrayData(torch.zeros(12, 3, 4, 4, dtype=torch.uint8))
    return Split("train", images, np.arange(12) % 3, ["a", "b", "c"])


def files(folder: Path) -> list[Path]:
    """A good file of every form that is read."""
    made = {
        "z.csv": "index,cluster\n" + "".join(f"{i},{i % 4}\n" for i in range(12)),
        "tags.csv": "index,tags\n" + "".join(f"{i},x;y{i % 3}\n" for i in range(12)),
        "tree.csv": "class,path\na,animal/x\nb,animal/y\nc,plant\n",
        "edges.txt": "root a\nroot b\nroot c\n",
    }
    for name, text in made.items():
        (folder / name).write_text(text)
    table = pa.table({"index": np.arange(12), "cluster": np.arange(12) % 4})
    pq.write_table(table, folder / "z.parquet")
    for i, text in enumerate((b"{{{", b"[1]", b'{"n": "x", "digests": 3}', b"\xff", b"[" * 5_000)):
        names = dict.fromkeys((KEY, b"viewfinder.clusters", b"viewfinder_clusters"), text)
        pq.write_table(table.replace_schema_metadata(names), folder / f"meta{i}.parquet")
    names = np.array(["a", "b", "c"])
    np.savez(folder / "tree.npz", class_names=names, class_parents=np.array(["x", "x", "y"]))
    return sorted(folder.iterdir())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", WITH_FILE, ids=lambda row: row.name)
def test_a_row_reads_or_refuses_whatever_has_become_of_its_file(
    row: object, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for file in files(tmp_path):
        whole = file.read_bytes()
        for data in (
            whole, b"", b"\0" * 50, b"\xff" + whole, whole[::-1], whole[: len(whole) // 2],
            whole.replace(b"1", b"9" * 5_000), rng.bytes(200), whole * 2,
            *(flipped(whole, rng) for _ in range(10)),
        ):  # fmt: skip
            file.write_bytes(data)
            meets(row, file)
        file.unlink()
        for place in ("/dev/zero", "/proc", str(tmp_path), "nowhere"):
            file.symlink_to(place)
            meets(row, file)
            file.unlink()


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    out[int(rng.integers(len(out)))] ^= 1 << int(rng.integers(8))
    return bytes(out)


def meets(row: object, file: Path) -> None:
    """Makes Z of the file: what goes wrong is a UserError of a few lines."""
    given = split()
    try:
        options = row.options(file=str(file))  # type: ignore[attr-defined]
        row.check(options, given)  # type: ignore[attr-defined]
        row.build(options, Given(given))  # type: ignore[attr-defined]
    except UserError as error:
        told = str(error)
        assert len(told) < 3_500
