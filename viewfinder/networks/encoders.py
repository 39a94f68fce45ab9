"""Encoders: the papers' small networks, any model of timm, or a user's own class, as one table."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

import torch
from pydantic import Field
from torch import nn

from viewfinder.core import plugins
from viewfinder.core.errors import UserError, nearest
from viewfinder.core.ranges import Count
from viewfinder.core.table import Options, Row, Table
from viewfinder.data.domain import DTYPES, Domain, Modality
from viewfinder.networks.convnet import ConvNet
from viewfinder.networks.mlp import Activation, mlp
from viewfinder.networks.patches import Norm, Patches
from viewfinder.networks.public_weights import public_weights
from viewfinder.networks.recurrent import Cell, Recurrent
from viewfinder.networks.transformer import Transformer


def _no_word(word: str) -> bool:
    return False


def _no_check(options: Any) -> None:
    """Whatever the options are, something can be built."""


@dataclass(frozen=True, kw_only=True)
class EncoderRow(Row):
    """How an encoder is built, and what is known of it before it is.

    build       maps its options and the domain of the views to a module: the views as floats
                (tokens as int64) -> features float (N, D); D is found by running it
    modalities  what it takes
    pieces      whether it has the features of every piece of a view too, by a method ``each``
    maps        whether its stages give maps (N, D, h, w), which local objectives need
    check       raises UserError for options of which nothing can be built, before anything is
    pretrained  whether there are weights to start from: then ``pretrained`` is one of its options
    plugin      whether its bare option is ``module:name`` of a plug-in that must be loaded
    claims      which words that name no row are this row's bare option: ``encoder=resnet18``
    """

    build: Callable[[Any, Domain], nn.Module]
    modalities: tuple[Modality, ...] = ("images",)
    pieces: bool = False
    maps: bool = False
    pretrained: bool = False
    plugin: bool = False
    claims: Callable[[str], bool] = _no_word
    check: Callable[[Any], None] = _no_check


class ConvnetOptions(Options):
    widths: list[Count] = Field(
        [32, 64, 128, 256, 512], min_length=1, max_length=100, description="channels of each stage"
    )


class RecurrentOptions(Options):
    widths: list[Count] = Field(
        [8, 16, 32, 64], min_length=1, max_length=100, description="channels of each stage"
    )
    units: Count = Field(64, description="of the recurrent layer")
    cell: Cell = Field("lstm", description="lstm or gru")
    first_stride: int = Field(1, ge=1, le=8, description="of the first stage; others halve")


class PatchesOptions(Options):
    widths: list[Count] = Field(
        [64, 128, 256], min_length=1, max_length=100, description="channels of each stage"
    )
    norm: Norm = Field("none", description="none, or layer as in CPC v2; never over the batch")


class MlpOptions(Options):
    widths: list[Count] = Field(
        [32, 64, 128, 256, 512], min_length=1, max_length=100, description="units of each layer"
    )
    activation: Activation = Field("relu", description="relu, tanh or gelu")
    last_activation: bool = Field(True, description="an activation after the last layer too")


class TransformerOptions(Options):
    width: Count = Field(128, description="of each word's vector")
    depth: Count = Field(2, description="layers")
    heads: Count = Field(4, description="of attention; width is a multiple of it")


class TimmOptions(Options):
    model: str = Field(description="name of the model; encoder=resnet18 sets it")
    stem: Literal["auto", "small", "strided", "original"] = Field(
        "auto", description="of a ResNet. small: 3x3 of stride 1, no max-pool; strided: the same "
        "of stride 2; original: 7x7 and max-pool; auto: small at 64 px and below, else original"
    )  # fmt: skip
    pretrained: bool = Field(False, description="start from timm's pretrained weights")


class OwnOptions(Options):
    factory: str = Field(
        pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$",
        description="package.module:Class, a torch.nn.Module, or a function of that module that is "
        "annotated to return one; called with channels=... where it takes it; "
        "encoder=package.module:Class sets it",
    )  # fmt: skip


STEMS = {"small": 1, "strided": 2}
"""The strides of stems without max-pool."""
LARGEST_SMALL = 64
"""The side up to which views count as small: a 7x7 stem costs points there."""


def _convnet(options: ConvnetOptions, domain: Domain) -> nn.Module:
    return ConvNet(domain.channels, options.widths)


def _recurrent(options: RecurrentOptions, domain: Domain) -> nn.Module:
    first = options.first_stride
    if domain.modality == "images":
        return ConvNet(domain.channels, options.widths, first_stride=first)
    return Recurrent(domain.channels, options.widths, options.units, options.cell, first)


def _patches(options: PatchesOptions, domain: Domain) -> nn.Module:
    return Patches(domain.channels, options.widths, options.norm)


def _mlp(options: MlpOptions, domain: Domain) -> nn.Module:
    layers = mlp(
        math.prod(domain.shape),
        options.widths,
        options.activation,
        last_activation=options.last_activation,
    )
    return nn.Sequential(nn.Flatten(), *layers)


def _transformer(options: TransformerOptions, domain: Domain) -> nn.Module:
    if options.width % options.heads:
        raise UserError(
            f"encoder.width={options.width} is no multiple of encoder.heads={options.heads}",
            fix=f"encoder.width={-(-options.width // options.heads) * options.heads}",
        )
    return Transformer(domain, options.width, options.depth, options.heads)


def _check_timm(options: TimmOptions) -> None:
    import timm

    name = options.model
    if not timm.is_model(name):
        guess = nearest(name, [*ENCODERS, *timm.list_models()])
        hint = f" Did you mean {guess!r}?" if guess else ""
        known = ", ".join(row.name for row in ENCODERS.values() if row.bare is None)
        raise UserError(
            f"unknown encoder {name!r}: not {known}, a timm model or package.module:Class.{hint}"
        )


def _timm(options: TimmOptions, domain: Domain) -> nn.Module:
    import timm

    _check_timm(options)
    name = options.model
    arguments = {
        "num_classes": 0,
        "in_chans": domain.channels,
        "pretrained": options.pretrained,
    }
    try:
        with public_weights(name) if options.pretrained else nullcontext():
            try:
                model = timm.create_model(name, **arguments, img_size=domain.size)
            except TypeError:  # convolutional models take no image size
                model = timm.create_model(name, **arguments)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"timm could not build {name!r}: {error}") from error
    stem = options.stem
    if stem == "auto":
        stem = "small" if domain.size <= LARGEST_SMALL else "original"
    if stem in STEMS and isinstance(getattr(model, "maxpool", None), nn.Module):
        _small_stem(model, domain.channels, STEMS[stem])
    return model


def _small_stem(model: nn.Module, channels: int, stride: int) -> None:
    """A 3x3 first convolution and no max-pool: a 7x7 stem costs points at 32 px."""
    old = model.conv1
    if isinstance(old, nn.Conv2d):
        model.conv1 = nn.Conv2d(channels, old.out_channels, 3, stride=stride, padding=1, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()


def _maker(options: OwnOptions) -> Callable[..., Any]:
    """The class or function that is named. Raises UserError for anything else."""
    where, _, name = options.factory.partition(":")
    module = plugins.module(where)
    made_by = getattr(module, name, None)
    if not _makes_modules(made_by, where):
        what = "nothing of that name" if made_by is None else f"a {type(made_by).__name__}"
        raise UserError(
            f"encoder {options.factory!r}: {where} has {what} there; a subclass of "
            "torch.nn.Module is expected, or a function of that module that says it returns one",
            fix="def network(channels: int) -> torch.nn.Module: ...",
        )
    assert callable(made_by)
    return made_by


def _check_own(options: OwnOptions) -> None:
    _maker(options)


def _own(options: OwnOptions, domain: Domain) -> nn.Module:
    made_by = _maker(options)
    try:
        takes_channels = "channels" in inspect.signature(made_by).parameters
        made = made_by(channels=domain.channels) if takes_channels else made_by()
    except Exception as error:
        raise UserError(f"encoder {options.factory!r} could not be built: {error}") from error
    if not isinstance(made, nn.Module):
        raise UserError(
            f"encoder {options.factory!r} made a {type(made).__name__}, not a torch.nn.Module"
        )
    return made


def _makes_modules(candidate: object, where: str) -> bool:
    """Whether it is a kind of network, or a function written in the module ``where`` that says it
    returns one: the name may come from a run folder, and nothing else of a module is for that."""
    if inspect.isclass(candidate):
        return issubclass(candidate, nn.Module)
    written_in = str(getattr(candidate, "__module__", ""))
    if not inspect.isfunction(candidate) or not f"{written_in}.".startswith(f"{where}."):
        return False
    try:
        returned = get_type_hints(candidate).get("return")
    except Exception:  # a name that is known to type checkers alone
        return False
    return inspect.isclass(returned) and issubclass(returned, nn.Module)


ENCODERS: Table[EncoderRow] = Table(
    "encoder",
    [
        EncoderRow(
            name="convnet",
            summary="stages of 3x3 convolution, batch norm and ReLU, each halving the side",
            options=ConvnetOptions,
            build=_convnet,
            maps=True,
        ),
        EncoderRow(
            name="recurrent",
            summary="a convnet of each frame of a clip, an LSTM over them; of images the convnet",
            paper="Tian et al. 2020 (InfoMin), appendix B.4",
            options=RecurrentOptions,
            build=_recurrent,
            modalities=("clips", "images"),
        ),
        EncoderRow(
            name="patchwise",
            summary="a convnet of each patch of a grid without batch norm; their mean",
            paper="van den Oord et al. 2018 (CPC)",
            options=PatchesOptions,
            build=_patches,
            modalities=("clips",),
            pieces=True,
        ),
        EncoderRow(
            name="mlp",
            summary="a multi-layer perceptron of points, or of the numbers of an image",
            options=MlpOptions,
            build=_mlp,
            modalities=("images", "points"),
        ),
        EncoderRow(
            name="transformer",
            summary="a small Transformer of sentences, the mean over their words",
            paper="Vaswani et al. 2017",
            options=TransformerOptions,
            build=_transformer,
            modalities=("tokens",),
        ),
        EncoderRow(
            name="timm",
            summary="any model of timm, such as resnet18",
            paper="Wightman 2019",
            options=TimmOptions,
            bare="model",
            build=_timm,
            maps=True,
            pretrained=True,
            check=_check_timm,
            claims=lambda word: ":" not in word,
        ),
        EncoderRow(
            name="own",
            summary="a class or function of your own, package.module:Class",
            options=OwnOptions,
            bare="factory",
            build=_own,
            modalities=("images", "points", "tokens", "clips"),
            plugin=True,
            check=_check_own,
            claims=lambda word: ":" in word,
        ),
    ],
)


def choice(word: str) -> tuple[str, dict[str, str]]:
    """The row that a word names, and the option that the word sets.

    >>> choice("convnet"), choice("resnet18"), choice("my.nets:Net")
    (('convnet', {}), ('timm', {'model': 'resnet18'}), ('own', {'factory': 'my.nets:Net'}))
    """
    if word.partition(":")[0] in ENCODERS:
        return ENCODERS.parse(word)
    claiming = next((row for row in ENCODERS.values() if row.claims(word)), None)
    if claiming is None or claiming.bare is None:
        return ENCODERS.find(word).name, {}
    return claiming.name, {claiming.bare: word}


def build_encoder(
    word: str, domain: Domain, options: Mapping[str, Any] | None = None
) -> tuple[nn.Module, int]:
    """An encoder of views of a domain, and the width D of the features float (N, D) it gives.

    word     a row of ``ENCODERS``, a timm model's name, or package.module:Class of a plug-in
             that is loaded
    options  of the row; pydantic's ValidationError for what the row does not know

    Raises UserError for an unknown model, a class that is not loaded or cannot be built, a
    modality that the encoder does not take, and an output that is not (N, D).

    >>> encoder, dim = build_encoder("resnet18", Domain("images", (1, 32, 32)), {"stem": "small"})
    >>> dim
    512
    """
    name, bare = choice(word)
    row = ENCODERS[name]
    check_modality(row, domain.modality)
    chosen = row.options(**{**(options or {}), **bare})
    encoder = row.build(chosen, domain)
    return encoder, feature_dim(encoder, word_of(row, chosen), domain)


def word_of(row: EncoderRow, options: Options) -> str:
    """The word that chooses an encoder: resnet18, not timm."""
    return row.name if row.bare is None else str(getattr(options, row.bare))


def check_modality(row: EncoderRow, modality: Modality) -> None:
    """Raise UserError where an encoder does not take data of a kind."""
    if modality not in row.modalities:
        takers = [other.name for other in ENCODERS.values() if modality in other.modalities]
        raise UserError(
            f"encoder={row.name} takes {' or '.join(row.modalities)}, and these data are "
            f"{modality}; such data are taken by {', '.join(takers)}",
            fix=f"encoder={takers[0]}",
        )


def feature_dim(encoder: nn.Module, name: str, domain: Domain) -> int:
    """The width D of the output, found by running two blank views through in eval mode.

    Raises UserError where the encoder does not take them or its output is not (N, D).
    """
    kind = DTYPES[domain.modality]
    blank = torch.zeros(2, *domain.shape, dtype=kind if kind == torch.int64 else torch.float32)
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            out = encoder(blank)
    except Exception as error:
        shape = "x".join(str(side) for side in domain.shape)
        raise UserError(
            f"encoder {name!r} does not take {domain.modality} of {shape}: {error}"
        ) from error
    finally:
        encoder.train(training)
    if not isinstance(out, torch.Tensor) or out.ndim != 2 or len(out) != 2:
        got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise UserError(
            f"encoder {name!r} returned {got} for 2 {domain.modality}; (2, D) was expected"
        )
    return out.shape[1]
