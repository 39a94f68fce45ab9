"""The network of one domain: from a view to what the objective compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.networks.heads import head
from viewfinder.networks.pieces import Joined
from viewfinder.networks.places import Places, Stage, as_places


class Network(nn.Module):
    """Encoder, projector, predictor and assigner of the views of one domain.

    encoder    float (N, ...) -> features (N, feature_dim)
    projector  units of each layer; the last is the width of the projections. None at all: the
               features are the projections
    predictor  units of each layer, None: no predictor, projections are compared as they are
    pieces     of views in so many pieces: the projector is of each, a layer behind it joins them
    each       heads take the features of every piece of a view side by side, not the encoder's
               output, which is their mean; feature_dim is then that of all pieces

    ``assigner`` is the objective's last layer, from projections to what it compares; where it has
    one, it takes the place of the identity. ``places`` makes the keys of an objective that compares
    with the places of an inner stage; ``asked`` is the stage whose places are the queries, where
    the views ask for some.

    Raises UserError for predictions of another width than the projections they are compared with.
    """

    def __init__(
        self,
        encoder: nn.Module,
        feature_dim: int,
        projector: Sequence[int],
        predictor: Sequence[int] | None = None,
        batch_norm: bool = True,
        pieces: int = 0,
        each: bool = False,
    ) -> None:
        super().__init__()
        self.each = each
        self.feature_dim, self.dim = feature_dim, projector[-1] if projector else feature_dim
        self.encoder = encoder
        self.projector: nn.Module = nn.Identity()
        if projector:
            self.projector = head(feature_dim, projector, batch_norm=batch_norm)
        if pieces:
            self.projector = Joined(self.projector, pieces, self.dim)
        self.predictor: nn.Module = nn.Identity()
        if predictor:
            if predictor[-1] != self.dim:
                raise UserError(
                    f"head.predictor ends with {predictor[-1]} units; the prediction is compared "
                    f"with {'projections' if projector else 'features'} of {self.dim}",
                    fix=f"head.predictor=[{predictor[0]},{self.dim}]",
                )
            self.predictor = head(self.dim, predictor, batch_norm=batch_norm)
        self.predicts = bool(predictor)
        self.assigner: nn.Module = nn.Identity()
        self.places: Places | None = None
        self.asked: Stage | None = None

    def reading(self) -> AbstractContextManager[list[Tensor]]:
        """What the stage of ``places`` gives inside is kept, a tensor per pass of the encoder."""
        return nullcontext([]) if self.places is None else self.places.read(self.encoder)

    def features(self, view: Tensor, asked: Tensor | None = None) -> Tensor:
        """What the heads take of a view: the encoder's features (N, feature_dim), those of all its
        pieces side by side, or of the places (N, L) that are asked for those of a stage before it
        averages: (P, feature_dim)."""
        if self.each:
            pieces: Tensor = self.encoder.each(view)  # type: ignore[operator]
            return pieces.flatten(1)
        if asked is None or self.asked is None:
            found: Tensor = self.encoder(view)
            return found
        with self.asked.read(self.encoder) as seen:
            self.encoder(view)
        return as_places(seen[-1])[asked]

    def key(self, projected: Tensor, read: Sequence[Tensor]) -> Tensor:
        """What others are compared with, of a view's projection and of what was read in its pass:
        (N, dim), or (N, L, dim) of places."""
        made: Tensor = self.assigner(projected) if self.places is None else self.places(read[-1])
        return made

    def followed(self) -> nn.Sequential:
        """What a momentum network follows: all but the predictor."""
        return nn.Sequential(self.encoder, self.projector, self.assigner)


@dataclass(frozen=True)
class Outputs:
    """What the online networks made of the views they were shown, by the position of the view.

    features    float (N, feature_dim), before any noise
    noisy       the same with the noise that the head saw
    compared    what the objective compares: projections or predictions, through the assigner
    unpredicted what a target of the same network is made of: the same without the predictor, or
                vectors of the places of a stage, float (N, L, D)
    stages      what inner stages gave, one (N, D) per view that was shown, in its order
    """

    features: Mapping[int, Tensor]
    noisy: Mapping[int, Tensor]
    compared: Mapping[int, Tensor]
    unpredicted: Mapping[int, Tensor]
    stages: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)
