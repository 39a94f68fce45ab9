"""From a name to a backbone: the papers' small networks, any timm model, or a user's own class."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from viewfinder.core.errors import UserError, nearest
from viewfinder.networks.convnet import ConvNet

STEMS = {"small": 1, "strided": 2}
"""The strides of stems without max-pool."""


def build_encoder(
    name: str,
    *,
    channels: int,
    size: int,
    widths: Sequence[int] = (32, 64, 128, 256, 512),
    stem: str = "small",
    pretrained: bool = False,
) -> tuple[nn.Module, int]:
    """A backbone that maps float (N, channels, size, size) to (N, D), and D.

    name     "convnet" or "mlp" (both take ``widths``), a timm model ("resnet18"), or
             "package.module:Class", called as Class() or, where it takes it, Class(channels=...)
    stem     "small" replaces a ResNet's 7x7 stride-2 stem and max-pool by a 3x3 stride-1
             convolution, which small images need, "strided" by one of stride 2; "original" leaves
             it. Other models ignore it.

    Raises UserError for an unknown model, a class that cannot be imported or built, and an output
    that is not (N, D).

    >>> encoder, dim = build_encoder("resnet18", channels=1, size=32)
    >>> dim
    512
    """
    if pretrained and (":" in name or name in ("convnet", "mlp")):
        raise UserError(
            f"encoder.pretrained=true, but {name} has no weights to start from: timm's models do",
            fix="encoder=resnet18 encoder.pretrained=true",
        )
    if ":" in name:
        encoder = _own(name, channels)
    elif name == "convnet":
        encoder = ConvNet(channels, widths)
    elif name == "mlp":
        encoder = _flat_mlp(channels * size * size, widths)
    else:
        encoder = _timm(name, channels, size, stem, pretrained)
    return encoder, feature_dim(encoder, name, channels, size)


def _flat_mlp(inputs: int, widths: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    before = inputs
    for width in widths:
        layers += [nn.Linear(before, width), nn.ReLU(inplace=True)]
        before = width
    return nn.Sequential(*layers)


def _timm(name: str, channels: int, size: int, stem: str, pretrained: bool) -> nn.Module:
    import timm

    if not timm.is_model(name):
        guess = nearest(name, timm.list_models())
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise UserError(
            f"unknown encoder {name!r}: not convnet, mlp, a timm model or module:Class.{hint}"
        )
    arguments = {"num_classes": 0, "in_chans": channels, "pretrained": pretrained}
    try:
        try:
            model = timm.create_model(name, **arguments, img_size=size)
        except TypeError:  # convolutional models take no image size
            model = timm.create_model(name, **arguments)
    except Exception as error:
        raise UserError(f"timm could not build {name!r}: {error}") from error
    if stem in STEMS and isinstance(getattr(model, "maxpool", None), nn.Module):
        _small_stem(model, channels, STEMS[stem])
    return model


def _small_stem(model: nn.Module, channels: int, stride: int) -> None:
    """A 3x3 first convolution and no max-pool: a 7x7 stem costs points at 32 px."""
    old = model.conv1
    if isinstance(old, nn.Conv2d):
        model.conv1 = nn.Conv2d(channels, old.out_channels, 3, stride=stride, padding=1, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()


def _own(name: str, channels: int) -> nn.Module:
    module_name, _, class_name = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # a script's folder is importable, a console command's is not
        sys.path.insert(0, here)
    try:
        factory = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"encoder {name!r} cannot be imported: {error}",
            fix="package.module:Class, importable from the current folder",
        ) from error
    try:
        made = factory(channels=channels) if _takes_channels(factory) else factory()
    except Exception as error:
        raise UserError(f"encoder {name!r} could not be built: {error}") from error
    if not isinstance(made, nn.Module):
        raise UserError(f"encoder {name!r} made a {type(made).__name__}, not a torch.nn.Module")
    return made


def _takes_channels(factory: object) -> bool:
    import inspect

    try:
        return "channels" in inspect.signature(factory).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def feature_dim(encoder: nn.Module, name: str, channels: int, size: int) -> int:
    """The width D of the output, found by running two blank images through in eval mode.

    Raises UserError where the encoder does not take them or its output is not (N, D).
    """
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            out = encoder(torch.zeros(2, channels, size, size))
    except Exception as error:
        raise UserError(
            f"encoder {name!r} does not take images of {channels}x{size}x{size}: {error}"
        ) from error
    finally:
        encoder.train(training)
    if not isinstance(out, torch.Tensor) or out.ndim != 2 or len(out) != 2:
        got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise UserError(f"encoder {name!r} returned {got} for 2 images; (2, D) was expected")
    return out.shape[1]
