"""Every regularizer with every choice of its options: what the tests of the table run over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor, nn

from viewfinder.data.domain import Domain, Spec
from viewfinder.regularizers import (
    REGULARIZERS,
    EncoderPass,
    OneTermOptions,
    Regularizer,
    RegularizerOptions,
    Term,
)

DIM, STAGE_DIM, SHAPE = 6, 4, (1, 4, 4)
SPEC = Spec(Domain("images", SHAPE), feature_dim=DIM)


@dataclass(frozen=True)
class Situation:
    row: Regularizer
    chosen: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"{key}={value}" for key, value in self.chosen.items()]
        return "-".join([self.row.name, *words]).replace(" ", "")

    @property
    def options(self) -> RegularizerOptions:
        """Those chosen, of a small network where it has one."""
        small = {"width": 0.05} if "width" in self.row.options.model_fields else {}
        return self.row.options(**{**small, **self.chosen})

    @property
    def views(self) -> int:
        """As many as it takes, but no more than three."""
        return min(3, self.row.views[1] or 3)

    @property
    def one_term(self) -> bool:
        joined = getattr(self.options, "views", "each") == "joined"
        return joined or isinstance(self.options, OneTermOptions)

    def term(self, dtype: torch.dtype = torch.float64) -> Term:
        """Its module, equal at every call; it does not move (evaluation mode)."""
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return self.row.build(self.options, SPEC).to(dtype).eval()

    def value(self, seen: EncoderPass, term: nn.Module | None = None) -> Tensor:
        return self.row(self.term(seen.features[0].dtype) if term is None else term, seen)


def random_pass(
    situation: Situation, samples: int, dtype: torch.dtype = torch.float64, views: int | None = None
) -> EncoderPass:
    """A pass with all there may be in it; what the encoder made carries gradients."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> list[Tensor]:
        count = situation.views if views is None else views
        drawn = torch.randn(count, samples, *shape, generator=generator, dtype=torch.float64)
        return [x.to(dtype) for x in drawn]

    def learned(dim: int) -> list[Tensor]:
        return [x.requires_grad_() for x in draw(dim)]

    return EncoderPass(
        views=draw(*SHAPE),
        features=learned(DIM),
        noisy=learned(DIM),
        stages={"inner": learned(STAGE_DIM)},
        noisy_stages={"inner": learned(STAGE_DIM)},
        generator=torch.Generator().manual_seed(1),
        shown=lambda view, number: (view + number).sigmoid(),
    )


def leaves(seen: EncoderPass) -> list[Tensor]:
    return [x for own in seen.tensors() for x in own if x.requires_grad]


def _choices(row: Regularizer) -> Iterator[dict[str, Any]]:
    yield {}
    for name, option in row.options.model_fields.items():
        kind = option.annotation
        if get_origin(kind) is Literal:
            yield from ({name: value} for value in get_args(kind) if value != option.default)
    if "stages" in row.options.model_fields:
        yield {"stages": {"inner": 0.5}}


SITUATIONS = [Situation(row, chosen) for row in REGULARIZERS.values() for chosen in _choices(row)]
