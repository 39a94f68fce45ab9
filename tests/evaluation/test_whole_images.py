"""Photographs that are not square: what is seen of them, by training and by every evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from rich.console import Console
from scipy.stats import wasserstein_distance
from torch import Tensor
from torchvision.transforms import v2

from viewfinder.data.batch import Batch
from viewfinder.data.source import Source
from viewfinder.data.sources.table import open_source
from viewfinder.evaluation.pixels import raw_pixels
from viewfinder.evaluation.probing import probe, untrained
from viewfinder.evaluation.scoring import write_all_embeddings
from viewfinder.networks.frozen_features import extract
from viewfinder.recipes.recipe import Recipe, build, complete
from viewfinder.runs.model import Model
from viewfinder.runs.opening import with_data
from viewfinder.training.fit import network
from viewfinder.training.loader import SplitDataset

SHAPES = [(102, 136), (136, 102), (120, 120), (60, 180)]
STORED = 96
QUIET = Console(quiet=True)


def map_of(height: int, width: int) -> Image.Image:
    """A picture that says where a pixel is: red grows from the left to the right, green down."""
    y, x = (np.linspace(0, 255, side).round() for side in (height, width))
    pixels = np.zeros((height, width, 3))
    pixels[..., 0], pixels[..., 1] = x, y[:, None]
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps of several shapes; one lies on its side and says so by EXIF."""
    folder = tmp_path_factory.mktemp("maps")
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(16):
        (folder / "ab"[i // 8]).mkdir(exist_ok=True)
        image = map_of(*SHAPES[i % 4])
        turned = image.transpose(Image.Transpose.ROTATE_90) if i == 9 else image
        more = {"exif": exif} if i == 9 else {}
        turned.save(folder / "ab"[i // 8] / f"{i}.png", **more)
    return folder


@pytest.fixture(scope="module")
def source(maps: Path) -> Source:
    return open_source(f"folder:{maps}", size=STORED)


def recipe_of(size: int, method: str = "simclr", *, maps: Path) -> Recipe:
    keys = {
        "data": {"source": f"folder:{maps}", "size": STORED if size <= STORED else 256},
        "views": {"size": size},
        "encoder": {"widths": [4, 8]},
        "head": {"projector": [8, 4]},
        "batch_size": 4,
        **({"positives": {"name": "labels"}} if method == "ci-infonce" else {}),
        "accelerator": "cpu",
    }
    stored = keys["data"]["size"]
    return complete(build(method, keys), (3, stored, stored))


def ends(view: Tensor) -> Tensor:
    """Where the first and the last pixels of views (N, 3, S, S) of maps are, as shares of the
    image: top, bottom, left, right, each (N,); a pixel stands for its middle."""
    x, y = view[:, 0].mean(1), view[:, 1].mean(2)
    half = [(line[:, -2] - line[:, 1]) / (line.shape[1] - 3) / 2 for line in (y, x)]
    return torch.stack(
        [
            y[:, 1] - 3 * half[0],
            y[:, -2] + 3 * half[0],
            x[:, 1] - 3 * half[1],
            x[:, -2] + 3 * half[1],
        ]
    )


def test_crops_for_training_come_from_the_whole_of_every_image(source: Source) -> None:
    """Their place, area and ratio are those of torchvision's RandomResizedCrop on the file."""
    from viewfinder.views import compose

    dataset = SplitDataset(source.train)
    draws, generator = 250, torch.Generator().manual_seed(0)
    maker = compose(["crop"], 48, split={"draws": 1})
    paths = source.train.paths
    assert paths is not None
    for shape in SHAPES:
        rows = [i for i, p in enumerate(paths) if SHAPES[int(Path(p).stem) % 4] == shape]
        batch = dataset.__getitems__(rows)
        views = [maker(batch.data, generator, batch.sides)[0] for _ in range(draws)]
        top, bottom, left, right = ends(torch.cat(views)).double()
        height, width = shape
        ours = [bottom - top, right - left, top, left]
        ours += [ours[0] * ours[1], (ours[1] * width / (ours[0] * height)).log()]
        transform = v2.RandomResizedCrop(8)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            drawn = [transform.make_params([torch.empty(1, *shape)]) for _ in range(1000)]
        boxes = torch.tensor([[d[k] for k in ("height", "width", "top", "left")] for d in drawn])
        theirs = list((boxes.double() / torch.tensor([*shape, *shape])).T)
        theirs += [theirs[0] * theirs[1], (boxes[:, 1] / boxes[:, 0]).log()]
        # a map of 8 bits tells a place to a hundredth; a mean of 1000 draws varies by as much
        for a, b in zip(ours, theirs, strict=True):
            assert wasserstein_distance(a.numpy(), b.numpy()) < 0.03
        assert top.min() < 0.02
        assert left.min() < 0.02
        assert bottom.max() > 0.98
        assert right.max() > 0.98


@pytest.mark.parametrize("method", ["simclr", "ci-infonce", "cmc", "dino"])
def test_the_views_of_a_step_are_drawn_so(source: Source, maps: Path, method: str) -> None:
    """Of whatever method, pairs of partners and small crops included: what the batch says of the
    sides reaches the crop."""
    recipe = recipe_of(32, method, maps=maps)
    module = network(recipe, source.train)
    batch = SplitDataset(source.train).__getitems__([0, 1, 2, 3])
    assert batch.sides is not None
    views = module.views(batch, 0)
    square = Batch(batch.data, batch.index, batch.label)
    assert not all(torch.equal(a, b) for a, b in zip(views, module.views(square, 0), strict=True))
    again = module.views(batch, 0)
    assert all(torch.equal(a, b) for a, b in zip(views, again, strict=True))


@pytest.mark.parametrize("size", [48, 224])
def test_files_embeddings_probes_and_raw_pixels_see_the_same(
    maps: Path, tmp_path: Path, size: int
) -> None:
    """Small views are the whole image, large ones the centre of torchvision's Resize(256 / 224 of
    the size) and CenterCrop, of the file itself."""
    recipe = recipe_of(size, maps=maps)
    source = open_source(f"folder:{maps}", size=recipe.data.size)
    encoder = untrained(recipe)
    model = Model(encoder, recipe)
    write_all_embeddings(recipe, source, encoder, tmp_path / "v.parquet", None)
    table = pq.read_table(tmp_path / "v.parquet").to_pydict()
    z = torch.tensor(table["vector"])
    files = [maps / path for path in table["path"]]
    torch.testing.assert_close(model.encode(files), z, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.encode(files, batch_size=3), z, atol=1e-5, rtol=0)

    parts = [extract(encoder, s.data, recipe.view_maker().frozen) for s in source.splits.values()]
    torch.testing.assert_close(torch.cat(parts), z, atol=1e-5, rtol=0)

    pixels = torch.cat([raw_pixels(s.data, size=size) for s in source.splits.values()])
    side = round((pixels.shape[1] / 3) ** 0.5)
    seen = pixels.view(-1, 3, side, side)
    for path, ours in zip(table["path"], seen, strict=True):
        image = map_of(*SHAPES[int(Path(path).stem) % 4])
        if size < 147:
            cut = v2.Resize([size, size], antialias=True)(image)
        else:
            cut = v2.CenterCrop(size)(v2.Resize(256, antialias=True)(image))
        wanted = v2.functional.to_dtype(v2.functional.to_image(cut), torch.float32, scale=True)
        wanted = torch.nn.functional.interpolate(wanted[None], size=(side, side), mode="area")[0]
        assert (ours - wanted).abs().max() < 0.03, path


def test_a_probe_of_raw_pixels_says_what_it_sees(maps: Path) -> None:
    for size, words in ((48, "pixels 3x32x32"), (160, "pixels 3x32x32")):
        recipe = recipe_of(size, maps=maps)
        source = open_source(f"folder:{maps}", size=recipe.data.size)
        (score,) = probe("raw pixels", None, recipe, source, ["knn"])
        assert score.protocol["layer"] == words


def test_the_recipe_of_a_run_says_at_what_size_its_files_were_read(maps: Path) -> None:
    """So that ``encode`` reads files as the source did, whatever size is its own default."""
    data = {"source": f"folder:{maps}"}
    recipe, source = with_data(build("simclr", {"data": data, "batch_size": 4}), QUIET)
    assert recipe.data.size == source.train.data.shape[-1] == 64
    recipe, _ = with_data(build("simclr", {"data": {"source": "digits"}}), QUIET)
    assert recipe.data.size is None


def test_large_views_are_cut_at_the_papers_size_unless_said(maps: Path) -> None:
    recipe = complete(build("simclr", {"data": {"source": f"folder:{maps}"}}), (3, 256, 256))
    assert recipe.views.size == 224
    assert complete(build("simclr"), (3, 96, 96)).views.size == 96
