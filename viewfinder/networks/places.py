"""What lies behind the average of an encoder: vectors of the places of one of its stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError, nearest
from viewfinder.data.domain import DTYPES, Domain
from viewfinder.networks.heads import head
from viewfinder.networks.stages import channels_last, stage_names

VIEW, AUTO = "view", "auto"
"""Words in place of a stage's name: the view itself, and the stage that is chosen here."""
LEAST = 16
"""Places of a stage that is chosen: 4 x 4 of a map."""


@dataclass(frozen=True)
class Read:
    """What an objective compares in place of projections: of an inner stage that is not averaged.

    stage  a submodule of the encoder; "view": the view as the encoder sees it; "auto": the deepest
           stage of at least 4 x 4 places, except the last of the encoder
    whole  one vector is made of all places together; else one of each
    """

    stage: str = AUTO
    whole: bool = False


@dataclass(frozen=True)
class Stage:
    """A submodule of an encoder whose output is read as it is; "view": the encoder's input."""

    name: str

    @contextmanager
    def read(self, encoder: nn.Module) -> Iterator[list[Tensor]]:
        """Inside, what the stage gives is kept, as it is, in a list with one entry per pass."""
        seen: list[Tensor] = []
        if self.name == VIEW:
            handle = encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        else:
            kept = encoder.get_submodule(self.name)
            handle = kept.register_forward_hook(lambda module, given, made: seen.append(made))
        try:
            yield seen
        finally:
            handle.remove()

    @classmethod
    def of_features(cls, encoder: nn.Module, domain: Domain) -> Stage:
        """The last stage with a vector of each place of a view, (N, L, D), as wide as the features.

        Raises UserError where there is none.
        """
        found = None
        given = stages_given(encoder, domain)
        for name in stage_names(encoder):
            shapes = given.get(name, [])
            if len(shapes) == 1 and shapes[0] is not None and shapes[0][:-1] == (2, *domain.shape):
                found = name
        if found is None:
            raise UserError(
                f"no stage of the encoder gives a vector of each of {domain.shape[0]} places; "
                f"it has: {', '.join(stage_names(encoder))}",
                fix="encoder=transformer",
            )
        return cls(found)


class Places(nn.Module):
    """Vectors of the places of a stage, each by the same head; or one vector of all of them.

    encoder  whose stage is read; nothing about it changes
    domain   of the views
    units    of each layer of the head; the last is the width of the vectors
    key      of the recipe that names the stage, for the messages

    Raises UserError where a stage cannot be used: there is none of that name (likely ones are
    listed), it is not called once in a pass, or it gives no places: (N, D, H, W) or (N, T, D).
    """

    def __init__(
        self,
        encoder: nn.Module,
        domain: Domain,
        read: Read,
        units: Sequence[int],
        batch_norm: bool = True,
        key: str = "objective.stage",
    ) -> None:
        super().__init__()
        given = stages_given(encoder, domain)
        self.stage = _chosen(given, encoder, key) if read.stage == AUTO else read.stage
        self.whole = read.whole
        places, width = _places_of(self.stage, given, domain, encoder, key)
        self.head = head(width * (places if read.whole else 1), units, batch_norm=batch_norm)

    def read(self, encoder: nn.Module) -> AbstractContextManager[list[Tensor]]:
        """Inside, what the stage gives is kept: ``Stage.read``."""
        return Stage(self.stage).read(encoder)

    def forward(self, given: Tensor) -> Tensor:
        """Vectors (N, L, dim) of what the stage gave: of L places, or L = 1 for all together."""
        x = as_places(given)
        x = x.flatten(1)[:, None] if self.whole else x
        made: Tensor = self.head(x.flatten(0, 1))
        return made.view(len(x), x.shape[1], -1)

    def extra_repr(self) -> str:
        return f"stage={self.stage!r}, whole={self.whole}"


def as_places(given: Tensor) -> Tensor:
    """Vectors of places (N, L, D) of maps (N, D, H, W) or (N, H, W, D), or of tokens (N, T, D);
    what has no places, (N, D), is one.

    >>> as_places(torch.zeros(2, 64, 4, 4)).shape
    torch.Size([2, 16, 64])
    """
    if given.ndim == 4:
        return given.flatten(1, 2) if channels_last(given) else given.flatten(2).mT
    return given[:, None] if given.ndim == 2 else given


def stages_given(encoder: nn.Module, domain: Domain) -> dict[str, list[tuple[int, ...] | None]]:
    """The shapes that each submodule gave in a pass of two blank views, in the order of the calls;
    None for what is no tensor."""
    given: dict[str, list[tuple[int, ...] | None]] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, made: Any) -> None:
            shape = tuple(made.shape) if isinstance(made, Tensor) else None
            given.setdefault(name, []).append(shape)

        return hook

    handles = [m.register_forward_hook(keep(name)) for name, m in encoder.named_modules() if name]
    kind = DTYPES[domain.modality]
    training = encoder.training
    try:
        with torch.no_grad():
            tokens = kind == torch.int64
            encoder.eval()(torch.zeros(2, *domain.shape, dtype=kind if tokens else torch.float32))
    finally:
        encoder.train(training)
        for handle in handles:
            handle.remove()
    return given


def _chosen(given: dict[str, list[tuple[int, ...] | None]], encoder: nn.Module, key: str) -> str:
    """The deepest stage of at least ``LEAST`` places, except the last; of a stage and its own last
    block the stage."""
    outer = [name for name in given if "." not in name and name in stage_names(encoder)]
    with_places = [n for n in outer if len(given[n]) == 1 and _size(given[n][0]) is not None]
    for name in reversed(with_places[:-1]):
        size = _size(given[name][0])
        if size is not None and size[0] >= LEAST:
            return name
    raise UserError(
        f"{key}={AUTO}: no stage of the encoder but the last gives a map of 4 x 4 places or more; "
        f"stages with places: {', '.join(with_places) or 'none'}",
        fix=f"{key}={with_places[0]}" if with_places else "encoder=convnet",
    )


def _places_of(
    name: str,
    given: dict[str, list[tuple[int, ...] | None]],
    domain: Domain,
    encoder: nn.Module,
    key: str,
) -> tuple[int, int]:
    """How many places a stage gives, and the width of each; UserError where it gives none."""
    if name == VIEW:
        return as_places(torch.empty(1, *domain.shape, device="meta")).shape[1:]  # type: ignore[return-value]
    known = stage_names(encoder)
    if name not in dict(encoder.named_modules()) or not name:
        guess = nearest(name, known) or (known[-1] if known else None)
        raise UserError(
            f"{key}={name}: the encoder has no such stage. It has: {', '.join(known)}",
            fix=f"{key}={guess}" if guess else None,
        )
    shapes = given.get(name, [])
    if len(shapes) != 1:
        raise UserError(
            f"{key}={name}: that part of the encoder is called {len(shapes)} times for each view; "
            "what a stage is must be called once",
            fix=f"another of {', '.join(known)} in {key}",
        )
    size = _size(shapes[0])
    if size is None:
        got = shapes[0] if shapes[0] is not None else "no tensor"
        raise UserError(
            f"{key}={name}: that stage gives {got}; a map (N, D, H, W) or tokens (N, T, D) are "
            "expected",
            fix=f"{key}={AUTO}",
        )
    return size


def _size(shape: tuple[int, ...] | None) -> tuple[int, int] | None:
    """Places and width of an output; None where it has no places."""
    if shape is None or len(shape) not in (3, 4):
        return None
    _, places, width = as_places(torch.empty(shape, device="meta")).shape
    return places, width
