"""A trained encoder with its preprocessing, as one module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.data.convert import (
    channel_note,
    convert,
    looks_channels_first,
    looks_channels_last,
    to_channels,
)
from viewfinder.data.decode import UnreadableImageError, decode, quiet_pillow, read_header
from viewfinder.data.domain import AXES, DTYPES
from viewfinder.data.file_splits import DEFAULT_SIZE
from viewfinder.networks.frozen_features import check_finite, encode, evaluating, features_of
from viewfinder.recipes.recipe import Recipe

Image = str | Path | np.ndarray | Tensor
"""A file; an array uint8 (H, W, C) or grey (H, W); a tensor uint8 (C, H, W)."""


class Model(nn.Module):
    """From images as they are to features: what an evaluation of the run sees, then the encoder.

    encoder  float (N, ...) views -> (N, D); a ModuleDict of encoders where the views need several
             networks, whose features stand side by side
    recipe   complete, the run's
    dim      D

    ``forward`` is for batches on the module's device, with gradients for the encoder's parameters,
    which ask for them: freeze them with ``requires_grad_(False)``. ``encode`` is for files and
    arrays of any size, without gradients. In ``train()`` batch norms take the batch's statistics.

    >>> model = viewfinder.load("runs/simclr-1")  # doctest: +SKIP
    >>> model(torch.zeros(2, 3, 40, 60, dtype=torch.uint8)).shape  # doctest: +SKIP
    torch.Size([2, 512])
    """

    def __init__(self, encoder: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.encoder, self.recipe = encoder.requires_grad_(), recipe  # to be fine-tuned
        self.views = recipe.view_maker()
        self.source = self.views.source
        blank = torch.zeros(1, *self.source.shape, dtype=DTYPES[self.source.modality])
        self.eval()
        with torch.no_grad():
            self.dim: int = self(blank).shape[1]

    def forward(self, images: Tensor, sides: Tensor | None = None) -> Tensor:
        """Features float32 (N, D) of images uint8 (N, C, H, W) of any size.

        ``sides`` integers (N, 2): height and width that they had before they were made equal.

        Channels are converted as a source converts them: grey is repeated, RGB becomes luma. Of
        data that are no images: the batch as a source reads it.

        Raises UserError for another dtype or shape, and for channels that cannot be converted.
        """
        self._check(images)
        if self.source.modality == "images":
            images = to_channels(images, self.source.channels)
        views = self.views.frozen(images) if sides is None else self.views.frozen(images, sides)
        return features_of(self.encoder, views)

    def encode(self, images: Image | Iterable[Image], *, batch_size: int = 256) -> Tensor:
        """Features float32 (N, D) on the CPU, in order, in evaluation mode and without gradients.

        images      files, arrays uint8 (H, W, C) or (H, W), tensors uint8 (C, H, W), mixed as you
                    like; or an array (N, H, W, C), a tensor (N, C, H, W), or a single image
        batch_size  images that are in memory at a time

        Files are read as ``folder:`` reads them, and all is cut and resized as ``viewfinder
        embed`` does, at the recipe's precision: equal to what that writes for the same files.

        Raises UserError, with the file or the position, for an image that cannot be read, another
        dtype or shape, and features that are not finite.

        >>> model.encode(["a.jpg", np.zeros((48, 64, 3), np.uint8)]).shape  # doctest: +SKIP
        torch.Size([2, 512])
        """
        items = self._listed(images)
        if batch_size < 1:
            raise UserError(f"batch_size is {batch_size}; at least 1 is expected")
        features = torch.empty(len(items), self.dim)
        device = next((p.device for p in self.parameters()), torch.device("cpu"))
        precision = self.recipe.precision
        with evaluating(self), quiet_pillow(), ThreadPoolExecutor() as pool:
            for start in range(0, len(items), batch_size):
                numbered = range(start, min(start + batch_size, len(items)))
                read = list(pool.map(self._read, numbered, items[start : start + batch_size]))
                # of other data there is no square that they were made, and no sides
                for kind in {(x.shape, sides is None) for x, sides in read}:
                    rows = [i for i, (x, s) in enumerate(read) if (x.shape, s is None) == kind]
                    batch = torch.stack([read[i][0] for i in rows])
                    were = [s for s in (read[i][1] for i in rows) if s is not None]
                    sides = torch.tensor(were, dtype=torch.int32) if were else None
                    made = encode(self.encoder, batch, self.views.frozen, device, precision, sides)
                    features[[start + i for i in rows]] = made.cpu()
        check_finite(features)
        return features

    def _read(self, position: int, image: Image) -> tuple[Tensor, tuple[int, int] | None]:
        """One image as a source would give it: uint8 (C, H, W), and the height and width it had
        where it was made square."""
        channels, size = self.source.channels, self.recipe.data.size
        if isinstance(image, str | Path):
            if self.source.modality != "images":
                raise UserError(f"{image}: the run is of {self.source.modality}, not of images")
            file = Path(image).expanduser()
            try:
                header = read_header(file)
                pixels = decode(file, size or DEFAULT_SIZE, channels)
            except UnreadableImageError as error:
                raise UserError(f"{image} is unreadable: {error}") from error
            x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
            return x, (header.height, header.width)
        try:
            x = self._tensor(image)[None].cpu()
            self._check(x)
        except UserError as error:
            raise UserError(f"image {position}: {error.message}", fix=error.fix) from error
        if self.source.modality != "images":
            return x[0], None
        height, width = x.shape[-2:]
        return convert(x, channels, size)[0], None if size is None else (height, width)

    def _tensor(self, image: np.ndarray | Tensor) -> Tensor:
        """An image (H, W, C) or (H, W) as a tensor (C, H, W); whatever else as it is."""
        if isinstance(image, Tensor):
            return image
        if image.dtype.byteorder not in "=|" or image.dtype.kind not in "uif":
            raise UserError(f"an array of {image.dtype} was given; uint8 is expected")
        x = torch.from_numpy(image.copy())  # it may be read-only
        if self.source.modality != "images":
            return x
        if x.ndim == 3 and x.shape[2] != self.source.channels and looks_channels_first(x.shape):
            raise UserError(
                f"an array of shape {tuple(x.shape)} was given, which looks like (C, H, W); arrays "
                "are (H, W, C), tensors (C, H, W)",
                fix="images.transpose(0, 2, 3, 1) of a batch, or torch.from_numpy(images)",
            )
        return x[None] if x.ndim == 2 else x.movedim(-1, 0)

    def _listed(self, images: Image | Iterable[Image]) -> Sequence[Image]:
        """One image or several, as a sequence of them."""
        if isinstance(images, str | Path):
            return [images]
        if isinstance(images, np.ndarray | Tensor):
            several = images.ndim > len(self.source.shape)
            return list(images) if several else [images]
        return list(images)

    def _check(self, images: Tensor) -> None:
        modality = self.source.modality
        axes, dtype = AXES[modality], DTYPES[modality]
        if images.dtype != dtype or images.ndim != len(axes) + 1:
            kind = str(dtype).removeprefix("torch.")
            raise UserError(
                f"{images.dtype} of shape {tuple(images.shape)} was given; {modality} as "
                f"{kind} (N, {', '.join(axes)}) are expected",
                fix="(255 * images).round().to(torch.uint8), of values in [0, 1]"
                if modality == "images" and images.is_floating_point()
                else None,
            )
        if modality == "images":
            if images.shape[1] != self.source.channels and looks_channels_last(images.shape):
                raise UserError(
                    f"a tensor of shape {tuple(images.shape)} was given, which looks like "
                    "(N, H, W, C); tensors are (N, C, H, W), arrays (N, H, W, C)",
                    fix="images.permute(0, 3, 1, 2), or images.numpy()",
                )
            channel_note(images.shape[1], self.source.channels, "what was given")
