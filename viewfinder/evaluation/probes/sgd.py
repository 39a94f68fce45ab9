"""The linear probes of the papers: a linear layer trained by SGD, each schedule a row of data.

The papers augment the images during this stage; here the layer sees cached features, so every
image is seen the same way in each epoch. This is said in each score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError
from viewfinder.core.randomness import torch_generator
from viewfinder.core.schedules import cosine, multistep
from viewfinder.core.table import Options
from viewfinder.evaluation.probes.contract import Details, ProbeRow


@dataclass(frozen=True)
class SGDProtocol:
    """How a linear layer is trained. ``milestones``: epochs at which the rate is multiplied by
    0.1; without them it falls on a cosine to ``final`` × lr, a step at a time or, ``per_epoch``, an
    epoch at a time. ``deviates`` says in words what differs from the source."""

    name: str
    source: str
    lr: float
    batch_size: int
    epochs: int
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    milestones: tuple[int, ...] | None = None
    final: float = 0.0
    per_epoch: bool = False
    drop_last: bool = False
    deviates: tuple[str, ...] = ()

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """The learning rate at ``step`` (of ``steps`` an epoch) of ``epoch``, both from 0."""
        if self.milestones is not None:
            return self.lr * multistep(epoch, self.milestones)
        now = epoch * steps + (0 if self.per_epoch else step)
        end = self.lr * self.final
        return cosine(now, self.epochs * steps, self.lr, end, include_end=False)


FIXED_IMAGES = "cached features: no augmentation while the layer is trained"
ONE_NORMALISATION = "images normalised as in pretraining, where the source takes each set's own"
LAST_EPOCH = "the last epoch is reported, where the source reports the best test epoch"

SGD_PROTOCOLS: Mapping[str, SGDProtocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            SGDProtocol(
                name="moco",
                source="He et al. 2020, section 4.1 and the released linear stage",
                lr=30.0,
                batch_size=256,
                epochs=100,
                milestones=(60, 80),
                deviates=(FIXED_IMAGES, LAST_EPOCH),
            ),
            SGDProtocol(
                name="simclr",
                source="Chen et al. 2020, appendix B.6: lr = 0.1 × batch / 256",
                lr=0.1,
                batch_size=256,
                epochs=90,
                nesterov=True,
                deviates=(FIXED_IMAGES, "batch 256, where the paper has 4096 (lr follows it)"),
            ),
            SGDProtocol(
                name="infocl",
                source="Wang et al. 2022, minimal sufficient representation",
                lr=0.01,
                batch_size=128,
                epochs=100,
                milestones=(60, 80),
                drop_last=True,
                deviates=(LAST_EPOCH, ONE_NORMALISATION),
            ),
            SGDProtocol(
                name="ci-infonce",
                source="Tsai et al. 2021, conditional InfoNCE with auxiliary information",
                lr=0.3,
                batch_size=128,
                epochs=100,
                momentum=0.95,
                nesterov=True,
                weight_decay=1e-4,
                final=1e-3,
                per_epoch=True,
                deviates=(FIXED_IMAGES,),
            ),
        )
    }
)


def fit_sgd_probe(
    x: Tensor, y: Tensor, num_classes: int, protocol: SGDProtocol, *, seed: int = 0
) -> nn.Linear:
    """Train a linear layer on features x (n, D) as given, labels y int64 (n,), to its last epoch.

    The weights start from N(0, 0.01²), the bias from 0. Every epoch shuffles anew from the seed.

    Raises UserError where the training leaves the finite numbers.

    >>> layer = fit_sgd_probe(x, y, 10, SGD_PROTOCOLS["moco"])  # doctest: +SKIP
    """
    layer = nn.Linear(x.shape[1], num_classes, device="meta", dtype=x.dtype)
    layer = layer.to_empty(device=x.device)
    generator = torch_generator(seed, "linear probe: initial weights")
    with torch.no_grad():
        initial = torch.randn(layer.weight.shape, generator=generator, dtype=x.dtype)
        layer.weight.copy_(0.01 * initial)
        layer.bias.zero_()
    optimiser = torch.optim.SGD(
        layer.parameters(),
        lr=protocol.lr,
        momentum=protocol.momentum,
        nesterov=protocol.nesterov,
        weight_decay=protocol.weight_decay,
    )
    steps = len(x) // protocol.batch_size
    if steps == 0 or not (protocol.drop_last or len(x) % protocol.batch_size == 0):
        steps += 1
    for epoch in range(protocol.epochs):
        shuffle = torch_generator(seed, "linear probe: order", epoch=epoch)
        order = torch.randperm(len(x), generator=shuffle).to(x.device)
        for step, rows in enumerate(order.split(protocol.batch_size)[:steps]):
            optimiser.param_groups[0]["lr"] = protocol.rate(epoch, step, steps)
            optimiser.zero_grad()
            F.cross_entropy(layer(x[rows]), y[rows]).backward()
            optimiser.step()
    if not bool(layer.weight.isfinite().all()):
        raise UserError(
            f"the linear probe {protocol.name!r} (lr {protocol.lr:g}) diverged on these features",
            fix="protocol linear, which scales the features and needs no learning rate",
        )
    return layer


def sgd_row(schedule: SGDProtocol) -> ProbeRow:
    """The probe of a schedule, a row of ``SGD_PROTOCOLS`` or one of your own.

    >>> short = sgd_row(replace(SGD_PROTOCOLS["moco"], epochs=10))  # doctest: +SKIP
    """

    def scores(
        options: Options, x: Tensor, y: Tensor, test_x: Tensor, classes: int, seed: int
    ) -> tuple[Tensor, Details]:
        layer = fit_sgd_probe(x, y, classes, schedule, seed=seed)
        with torch.no_grad():
            found = layer(test_x)
        fields = asdict(schedule)
        deviates, milestones = fields.pop("deviates"), fields.pop("milestones")
        return found, {
            "protocol": fields.pop("name"),
            "optimiser": "SGD",
            **fields,
            "milestones": None if milestones is None else list(milestones),
            "selection": "none: fixed values, last epoch",
            "seed": seed,
            "notes": ["features as they are, not standardised", *deviates],
        }

    return ProbeRow(
        name=schedule.name,
        summary=f"a linear layer by SGD, {counted(schedule.epochs, 'epoch')} from {schedule.lr:g}",
        paper=schedule.source,
        scores=scores,
        phrase=f"A linear layer by the schedule of {schedule.name}",
    )
