"""Draw the pictures of docs/which-views.md: python docs/gallery.py

One for each step and each split of views, in docs/images/views: an image of the embedded set
``shapes``, and what becomes of it. A new row needs a run of this script.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from viewfinder.api import learn_views
from viewfinder.core.randomness import torch_generator
from viewfinder.data.domain import Domain
from viewfinder.data.shapes.source import shapes_source
from viewfinder.data.source import layers_of
from viewfinder.data.sources.spirals import spirals
from viewfinder.data.sources.table import open_source
from viewfinder.views import SPLITS, STEPS, compose
from viewfinder.views.contract import Step
from viewfinder.views.maker import Split

FOLDER = Path(__file__).parent / "images" / "views"
SIDE, GAP, DRAWS = 64, 4, 5
LARGE = 192  # of the image that patches are cut from
OPTIONS: dict[str, dict[str, Any]] = {
    "blur": {"sigma": [2.0, 3.0], "kernel": 13},
    "crop": {"scale": [0.2, 0.6]},
    "patches": {"offset": 96, "size": SIDE},
    "frequency": {"sigma": 2.0},
    "channels": {"split": 1},
    "draws": {"count": 3, "small_count": 2},
    "frames": {"share": ["digit", "position"], "every": 3},
}
"""Where the defaults would show little in so small a picture."""


def image(size: int) -> Tensor:
    """The most colourful of sixty, uint8 (1, 3, size, size)."""
    small = shapes_source(SIDE, train=60, test=1).train.data.read(np.arange(60)).float()
    best = (small.amax(1) - small.amin(1)).mean((1, 2)).argmax().item()
    return shapes_source(size, train=60, test=1).train.data.read(np.array([best]))


def drawn(step: Step) -> list[Tensor]:
    """The image, and views of it by this step alone; of a colour space its channels in grey."""
    options = OPTIONS.get(step.name, {})
    if "p" in step.options.model_fields:
        options = {**options, "p": 1.0}
    if step.modalities == ("tokens",):
        made = compose([{step.name: options}], domain=SENTENCES, split="draws:3")
        return [written(x) for x in (sentences(), *made(sentences(), seeded()))]
    if "images" not in step.modalities:
        points = spirals(300, seeded()).data
        made = compose([{step.name: options}], domain=Domain("points", (2,)), split="draws:3")
        return [scattered(x) for x in (points, *made(points, seeded()))]
    x = image(SIDE)
    made = compose([{step.name: options}], SIDE, split={"draws": DRAWS})
    if step.frozen:
        (view,) = compose([{step.name: options}], SIDE, split="draws:1")(x, seeded())
        return [x / 255, *(view[:, k : k + 1] / 2 + 0.5 for k in range(3))]
    return [x / 255, *made(x, seeded())]


def parted(split: Split) -> list[Tensor]:
    """The image, and the views that the split makes of it."""
    if "clips" in split.modalities:
        return of_clips(split)
    if split.modalities == ("tokens",):
        made = compose(["mask"], domain=SENTENCES, split=split.name)
        return [written(x) for x in (sentences(), *made(sentences(), seeded()))]
    x = image(LARGE if split.name == "patches" else SIDE)
    last = "lab" if split.name == "channels" else "normalise"
    steps = [{"crop": [0.5, 1.0]}, "flip", {"jitter": {"p": 1.0}}, last]
    if split.name == "patches":
        steps = [last]
    made = compose(steps, SIDE, split={split.name: OPTIONS.get(split.name, {})})
    views = made(x, seeded())
    return [
        x / 255,
        *(
            made.shown(view, i) if view.ndim == 4 else apart(view / 2 + 0.5)
            for i, view in enumerate(views)
        ),
    ]


def of_clips(split: Split) -> list[Tensor]:
    """The first and the last frame of a clip, and the views that the split makes of it."""
    train = open_source("moving-digits:train=8,test=2").train
    clips, layers = train.data.read(np.arange(8)), layers_of(train.data, np.arange(8))
    steps = [{"crop": [0.5, 1.0]}, "flip", {"jitter": {"p": 1.0}}, "normalise"]
    options = OPTIONS.get(split.name, {})
    made = compose(
        ["normalise"] if "share" in options else steps,  # it takes no step by chance
        domain=Domain("clips", train.data.shape),
        split={split.name: options},
    )
    views = made(clips, seeded(), factors=layers)
    return [
        clips[:1, 0] / 255,
        clips[:1, -1] / 255,
        *(made.shown(view, i)[:1] for i, view in enumerate(views)),
    ]


def apart(pieces: Tensor) -> Tensor:
    """Pieces (1, P, C, h, w) side by side: (1, C, height, width)."""
    _, count, _, side, _ = pieces.shape
    rows = math.isqrt(count)
    framed = F.pad(pieces[0], (1, 1, 1, 1), value=1.0).view(rows, rows, 3, side + 2, side + 2)
    return framed.permute(2, 0, 3, 1, 4).reshape(1, 3, rows * (side + 2), -1)


SENTENCES = Domain("tokens", (12,), words=40)


def sentences() -> Tensor:
    """Twelve sentences of up to twelve words, int64 (12, 12)."""
    x = torch.randint(0, SENTENCES.words, (12, 12), generator=seeded())
    length = torch.randint(6, 13, (12, 1), generator=seeded())
    return x.masked_fill(torch.arange(12) >= length, SENTENCES.filling)


def written(x: Tensor) -> Tensor:
    """Sentences as rows of squares: a word its shade of blue, the mask black, the rest white."""
    shade = 0.35 + 0.6 * x.clamp(0, SENTENCES.words) / SENTENCES.words
    picture = torch.stack([shade * 0.7, shade * 0.85, torch.ones_like(shade) * 0.95])
    nothing = (x == SENTENCES.filling) | (x < 0)
    picture = picture.masked_fill(nothing, 1).masked_fill(x == SENTENCES.mask, 0)
    scale = SIDE // len(x)
    return F.pad(picture[None].repeat_interleave(scale, 2).repeat_interleave(scale, 3), [2] * 4)


def scattered(points: Tensor) -> Tensor:
    """Points in a square around the origin as black dots."""
    reach = 1.3 * float(points.abs().max())
    at = ((points / reach / 2 + 0.5) * SIDE).long().clamp(0, SIDE - 1)
    picture = torch.ones(1, 3, SIDE, SIDE)
    picture[0, :, SIDE - 1 - at[:, 1], at[:, 0]] = 0.0
    return picture


def seeded() -> torch.Generator:
    return torch_generator(0, "gallery")


def strip(tiles: list[Tensor]) -> Image.Image:
    """Pictures side by side on white, at most as high as SIDE; large ones are halved."""
    pictures = []
    for tile in tiles:
        x = tile.clamp(0, 1).expand(-1, 3, -1, -1)
        if x.shape[-1] > 1.5 * SIDE:
            x = F.interpolate(x, scale_factor=0.5, mode="area")
        pictures.append(x[0])
    height = max(x.shape[1] for x in pictures)
    framed = [F.pad(x, (0, GAP, 0, height - x.shape[1]), value=1.0) for x in pictures]
    pixels = (torch.cat(framed, 2)[:, :, :-GAP] * 255).round().byte().permute(1, 2, 0)
    return Image.fromarray(pixels.numpy())


def learned(folder: str) -> Path:
    """A generator that was trained on ``shapes`` for the picture of its step."""
    return learn_views(
        "semi-supervised",
        data={"source": "shapes", "limit": 1000},
        epochs=8,
        batch_size=64,
        generator={"lr": 0.01},
        networks={"lr": 0.003},
        encoder={"widths": [16, 32, 64]},
        logger="none",
        accelerator="cpu",
        out=folder,
    ).generator


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        OPTIONS["learned"] = {"file": str(learned(folder))}
        draw()


def draw() -> None:
    """All pictures."""
    for kind, rows, tiles in (("step", STEPS, drawn), ("split", SPLITS, parted)):
        for name, row in rows.items():
            picture = strip(tiles(row)).quantize(64)  # type: ignore[operator]
            picture.save(FOLDER / f"{kind}-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
