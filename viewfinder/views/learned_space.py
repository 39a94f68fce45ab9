"""A colour space that was learned: what stands between images and the networks of learned views,
and the file it is kept in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from viewfinder.core.errors import UserError, brief
from viewfinder.core.files import file_of, write_atomically
from viewfinder.core.validation import Strict
from viewfinder.views.colours.spaces import SPACES
from viewfinder.views.generator import Generator, Kind
from viewfinder.views.steps.normalise import Normalise

FORMAT = 1
"""Of the file; a later one may have what this version does not know."""
WHAT = "viewfinder generator of views"
LARGEST = 2**26
"""Bytes of a file, at most: a generator has some hundred numbers."""


class Shape(Strict):
    """What a learned space is built by.

    channels  of the images; space: what they are converted to first, a row of ``SPACES``
    """

    channels: Annotated[int, Field(ge=2, le=1_024)] = 3
    space: str = "rgb"
    kind: Kind = "nvp"
    blocks: Annotated[int, Field(ge=1, le=1_000)] = 6
    units: Annotated[int, Field(ge=1, le=10_000)] = 8


class LearnedSpace(nn.Module):
    """Images in a colour space, standardised; a generator; and its channels standardised again.

    x  float (N, C, H, W) in [0, 1] -> float (N, C, H, W), each channel of mean 0 and deviation 1:
       in training over the batch, with gradient, else over what was seen in training

    The last step is no decoration. A generator that does not preserve volume can hide a channel
    from the networks by shrinking it: that lowers the information they find, and leaves all of it
    in the view. After it the scale of a channel says nothing.

    Raises UserError for a space that other images than colour ones do not have.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        space = SPACES[shape.space]
        mean, std = space.mean, space.std
        if shape.channels != 3:
            if len({*mean, *std}) > 1:
                raise UserError(
                    f"{space.title} is of images with 3 channels, these have {shape.channels}",
                    fix="generator.space=rgb, which takes channels as they are",
                )
            mean, std = mean[:1], std[:1]  # type: ignore[assignment]
        self.normalise = Normalise(mean, std)
        self.generator = Generator(shape.channels, shape.kind, shape.blocks, shape.units)
        # the running deviation is of what the generator gave lately, as it goes on changing
        self.standardise = nn.BatchNorm2d(shape.channels, eps=1e-8, affine=False)

    def before(self, x: Tensor) -> Tensor:
        """What the generator takes: the channels of the colour space."""
        return self.normalise(SPACES[self.shape.space].of_rgb(x), {})

    def forward(self, x: Tensor) -> Tensor:
        return self.standardise(self.generator(self.before(x)))

    def inverse(self, z: Tensor) -> Tensor:
        """The images in [0, 1], by the deviations that were seen in training."""
        mean, variance = self.standardise.running_mean, self.standardise.running_var
        assert mean is not None and variance is not None
        deviation = (variance + self.standardise.eps).sqrt()
        y = z * deviation.view(1, -1, 1, 1) + mean.view(1, -1, 1, 1)
        return SPACES[self.shape.space].to_rgb(self.normalise.inverse(self.generator.inverse(y)))


def save(space: LearnedSpace, path: Path) -> None:
    """Write a learned space as safetensors. Raises UserError where the disk refuses."""
    from safetensors.torch import save as as_bytes

    about = {"what": WHAT, "format": FORMAT, **space.shape.model_dump()}
    tensors = {k: v.detach().contiguous().cpu() for k, v in space.state_dict().items()}
    header = {"about": json.dumps(about, sort_keys=True)}
    write_atomically(path, as_bytes(tensors, metadata=header))


def load(path: Path | str) -> LearnedSpace:
    """The learned space of a file, frozen, in evaluation mode. Nothing in the file is executed.

    Raises UserError where there is no such file, where it is damaged or no generator, where a newer
    version has written it, and where its numbers do not fit or are not finite.
    """
    file = file_of(path)
    tensors, about = _read(file)
    with torch.device("meta"):  # what a file announces takes no memory until it is there
        space = LearnedSpace(_shape(file, about))
    own = space.state_dict()
    differ = sorted(own.keys() ^ tensors.keys()) or [
        key
        for key, value in own.items()
        if (tensors[key].shape, tensors[key].dtype) != (value.shape, value.dtype)
    ]
    if differ:
        raise UserError(f"{file} is damaged: {brief(', '.join(differ))} are not what it announces")
    if not all(value.isfinite().all() for value in tensors.values()):
        raise UserError(f"{file} holds numbers that are not finite", fix="an earlier generator")
    variances = [value for key, value in tensors.items() if key.endswith("running_var")]
    if not all((value >= 0).all() for value in variances):
        raise UserError(f"{file} holds a variance below 0", fix="an earlier generator")
    space.load_state_dict(tensors, assign=True)
    return space.eval().requires_grad_(False)


def channels_of(path: Path | str) -> int:
    """How many channels the images have that a file is of; raises as ``load``."""
    file = file_of(path)
    return _shape(file, _read(file)[1]).channels


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file, and what it says of itself."""
    from safetensors import safe_open

    try:
        if file.stat().st_size > LARGEST:
            raise ValueError(f"it has {file.stat().st_size:,} bytes, too many for one")
        with safe_open(file, framework="pt") as opened:
            about = json.loads((opened.metadata() or {}).get("about", "{}"))
            tensors: dict[str, Tensor] = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except Exception as error:  # whatever the reader makes of what is no safetensors file
        raise UserError(
            f"{file} is damaged, or no generator of views: {brief(error)}", fix=_FIX
        ) from error
    if not isinstance(about, dict) or about.get("what") != WHAT:
        raise UserError(f"{file} is a safetensors file, but no generator of views", fix=_FIX)
    return tensors, about


_FIX = "the generator.safetensors that viewfinder learn-views wrote"


def _shape(file: Path, about: dict[str, Any]) -> Shape:
    written = about.get("format")
    if isinstance(written, bool) or not isinstance(written, int) or not 1 <= written <= FORMAT:
        raise UserError(
            f"{file} is of format {brief(written)}; this version reads up to {FORMAT}",
            fix="pip install --upgrade viewfinder",
        )
    try:
        shape = Shape(**{key: about[key] for key in Shape.model_fields})
        if shape.space not in SPACES:
            raise ValueError(f"there is no space {brief(shape.space)}")
    except (KeyError, ValueError, ValidationError) as error:
        raise UserError(f"{file} does not say what it is: {brief(error)}", fix=_FIX) from error
    return shape
