"""``viewfinder explore``: the folder it writes, and the server that shows it to this machine."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from viewfinder.commands import explore as command
from viewfinder.commands.clean import clean
from viewfinder.commands.pretrain import pretrain
from viewfinder.commands.words import recipe_of
from viewfinder.core.errors import UserError
from viewfinder.data.source import Attributes, Source, Split
from viewfinder.data.stored import ArrayData
from viewfinder.evaluation.atlas import _tags, lay_out
from viewfinder.evaluation.run_images import run_images
from viewfinder.runs.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    words = ["simclr", "data=digits", "data.limit=120", "epochs=1", "batch_size=16"]
    words += ["encoder.widths=[4,8]", "logger=none", "accelerator=cpu"]
    words += ["evaluation.protocols=[knn]", "evaluation.baselines=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        made = pretrain(recipe_of(words), tmp_path_factory.mktemp("explore") / "run")
    clean(made, out=made.folder / "clean")
    return made


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("atlas")
    command.write([run], out)
    return out


def test_the_folder_is_as_the_explorer_reads_it(run: Run, folder: Path) -> None:
    about = json.loads((folder / "data" / "metadata.json").read_text())
    table = pq.read_table(folder / "data" / "dataset.parquet")
    images = run_images(run)
    count = len(images.embeddings)
    assert about["database"] == {"type": "wasm", "load": True} and about["isStatic"]
    named = about["props"]["data"]
    used = {
        named["id"],
        named["text"],
        named["image"],
        named["neighbors"],
        *named["projection"].values(),
    }
    assert used <= {*table.column_names} and len(table) == count == 1797
    assert table["id"].to_pylist() == [*range(count)]
    assert np.isfinite(table["x"].to_numpy()).all() and np.ptp(table["y"].to_numpy()) > 0
    near = table["neighbours"][5].as_py()
    assert near["ids"] == images.graph.near[5, :15].tolist()
    assert near["distances"] == pytest.approx((1 - images.graph.similarity[5, :15]).tolist())
    picture = Image.open(io.BytesIO(table["image"][7].as_py()["bytes"]))
    shown = images.pictures(np.array([7]))
    assert shown is not None
    np.testing.assert_array_equal(np.asarray(picture), shown[0, 0].numpy())
    assert {"split", "index", "class", "outlier_score"} <= {*table.column_names}
    assert "T-SNE" in about["viewfinder"]["projection"].upper() or "UMAP" in str(about)


def test_several_runs_lie_beside_one_another(run: Run, tmp_path: Path) -> None:
    command.write([run, run], tmp_path)
    table = pq.read_table(tmp_path / "data" / "dataset.parquet")
    half, x = len(table) // 2, table["x"].to_numpy()
    assert x[:half].max() < x[half:].min()
    assert len({*table["id"].to_pylist()}) == len(table)
    assert min(table["neighbours"][half].as_py()["ids"]) >= half
    assert "run" in table.column_names


def test_a_large_map_is_of_principal_components(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.decomposition import PCA

    from viewfinder.evaluation import atlas

    monkeypatch.setattr(atlas, "_umap", lambda: None)
    monkeypatch.setattr(atlas, "TSNE_UP_TO", 10)
    rows = np.random.default_rng(0).normal(size=(40, 5)) * [5, 3, 1, 1, 1]
    found = lay_out(rows.astype(np.float32), 0)
    assert "principal" in found.how
    expected = PCA(2).fit_transform(rows)
    np.testing.assert_allclose(np.abs(found.places), np.abs(expected), atol=1e-3)


def test_tags_are_columns_in_words() -> None:
    def split(name: str, values: list[list[int]]) -> Split:
        tags = Attributes(np.array(values), ["colour", "n"], {"colour": ["red", "blue"]})
        data = ArrayData(torch.zeros(len(values), 1, 2, 2, dtype=torch.uint8))
        return Split(name, data, attributes=tags)

    both = {"train": split("train", [[0, 4], [-1, 5]]), "test": split("test", [[1, -1]])}
    tags = _tags(Source("mine", both))
    assert tags == {"tag colour": ["red", "", "blue"], "tag n": ["4", "5", ""]}


@pytest.fixture
def port(folder: Path, tmp_path: Path) -> Iterator[int]:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("<p>here</p>")
    (tmp_path / "secret").write_text("secret")
    running = command.server(tmp_path / "page", folder, 0)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running.server_port
    running.shutdown()
    thread.join()
    running.server_close()


def asked(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    got = connection.getresponse()
    return got.status, got.read(), got.getheader("Content-Security-Policy") or ""


def test_the_server_gives_the_page_and_the_data_and_nothing_else(port: int, folder: Path) -> None:
    status, page, policy = asked(port, "/")
    assert (status, page) == (200, b"<p>here</p>")
    assert "default-src 'self'" in policy and "http" not in policy
    data = asked(port, "/data/dataset.parquet")[1]
    assert data == (folder / "data" / "dataset.parquet").read_bytes()
    for path in ("/../secret", "/%2e%2e/secret", "/data/../../secret", "/data/", "/none"):
        assert asked(port, path)[0] == 404, path
    assert asked(port, "/", host="elsewhere.example")[0] == 403


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} is in use.*--port 0"):
            command.server(tmp_path, tmp_path, port)


def test_without_the_extra_it_says_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install \"viewfinder\[explore\]\""):
        command.explore([run], out=tmp_path / "atlas")
    assert not (tmp_path / "atlas").exists()


def test_one_image_is_no_map(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        command.write([run], tmp_path, overrides={"data": {"limit": 1}})


def test_the_installed_explorer_has_the_page_that_is_served() -> None:
    pytest.importorskip("embedding_atlas", reason="the extra explore is not installed")
    page = command.explorer()
    assert "embedding-atlas-root" in (page / "index.html").read_text()
