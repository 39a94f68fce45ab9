"""One training run of the double spiral of Wu et al. 2020, and its transfer accuracy.

What the paper says and what it leaves open are the fields of ``Reading``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viewfinder.core.randomness import derive, torch_generator
from viewfinder.data.batch import Batch
from viewfinder.data.sources.spirals import spirals
from viewfinder.networks.mlp import mlp
from viewfinder.objectives.similarity import rowwise, unit
from viewfinder.papers.runs import Settings
from viewfinder.views.steps.noise import uniform_noise

POINTS = 600  # test points whose representations are kept for the figure
CURVE = 100  # points of the loss curve


@dataclass(frozen=True)
class Reading:
    """One reading of section 4.3. The paper gives the fields up to ``train``; the rest is chosen.

    train        10,000 steps of 128 are "100 epochs", so there are 12,800 points
    radius, turns, arrangement, even   see ``spirals``. The domain is as wide as the largest noise,
                 5; arms are radius / (2 turns) apart, so that noise of up to about 0.4 leaves them
                 apart; whole turns at even angles put the bare coordinates at chance
    temperature  the scores are divided by it
    normalize    compare representations on the circle, as instance discrimination does
    keys         what a view is compared with: other views, encoded afresh (equation 5) by the same
                 "encoder" or by a "second" one; or the memory "bank" of instance discrimination
                 (equations 6 and 7; no gradient)
    update       the bank's alpha in equation 7: the share of the old entry that stays
    noised       without a bank: "both" views (equation 5), or "one", its pair and the negatives
                 being the points themselves
    clip         the largest norm of the gradient, 0 for any. Dot products are not bounded: with
                 little noise, and without a limit, the paper's learning rate diverges
    """

    steps: int = 10_000
    batch: int = 128
    negative_count: int = 4096
    rate: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 1e-5
    hidden: int = 128
    layers: int = 5
    outputs: int = 2
    train: int = 12_800
    test: int = 4_000
    radius: float = 2.5
    turns: float = 2.0
    arrangement: str = "interleaved"
    even: str = "angle"
    temperature: float = 1.0
    normalize: bool = False
    keys: str = "encoder"
    update: float = 0.0
    noised: str = "both"
    clip: float = 1.0
    activation: str = "relu"


def train(settings: Settings) -> dict[str, Any]:
    """One run; ``settings`` are the fields of ``Reading``, and eta, seed, device.

    Returns, as JSON data: accuracy of the logistic regression on the test set, with the encoder of
    the last step; loss, the mean over the last tenth of the steps; losses, the mean of each of
    (up to) 100 equal parts; points and labels, the representations of some test points; diverged,
    True where the loss left the finite numbers (everything else is None then); seconds.
    """
    start = time.monotonic()
    fields = dict(settings)
    eta, seed, device = (fields.pop(key) for key in ("eta", "seed", "device"))
    reading = Reading(**fields)
    data = _draw(reading, "train", reading.train, seed)
    encoders = _encoders(reading, seed).to(device)
    losses = _optimise(encoders, data.data.to(device), eta, reading, seed)
    found: dict[str, Any] = {"losses": None, "loss": None, "accuracy": None, "points": None}
    diverged = not np.isfinite(losses).all()
    if not diverged:
        parts = np.array_split(losses, min(CURVE, len(losses)))
        found["losses"] = [round(float(part.mean()), 4) for part in parts]
        found["loss"] = float(losses[-max(1, len(losses) // 10) :].mean())
        found |= _transfer(encoders[0].cpu(), data, _draw(reading, "test", reading.test, seed))
    return {**found, "diverged": diverged, "seconds": round(time.monotonic() - start, 2)}


def _draw(reading: Reading, split: str, count: int, seed: int) -> Batch:
    return spirals(
        count,
        torch_generator(seed, f"spirals/{split}"),
        radius=reading.radius,
        turns=reading.turns,
        arrangement=reading.arrangement,  # type: ignore[arg-type]
        even=reading.even,  # type: ignore[arg-type]
    )


def _encoders(reading: Reading, seed: int) -> nn.ModuleList:
    """The encoder of the views and that of what they are compared with, often one and the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "spirals/weights"))
        widths = [reading.hidden] * (reading.layers - 1) + [reading.outputs]
        first = mlp(2, widths, reading.activation)  # type: ignore[arg-type]
        second = mlp(2, widths, reading.activation) if reading.keys == "second" else first  # type: ignore[arg-type]
    return nn.ModuleList([first, second])


def _optimise(
    encoders: nn.ModuleList, points: Tensor, eta: float, reading: Reading, seed: int
) -> np.ndarray:
    """Train the encoders in place; the loss of every step, up to the first that is not finite."""
    generator = torch_generator(seed, "spirals/steps", device=points.device)
    optimizer = torch.optim.SGD(
        encoders.parameters(),
        lr=reading.rate,
        momentum=reading.momentum,
        weight_decay=reading.weight_decay,
    )
    bank = _bank(encoders[0], points, eta, reading, generator) if reading.keys == "bank" else None
    losses = np.full(reading.steps, np.nan)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(reading.steps):
        if len(order) < reading.batch:
            order = torch.randperm(len(points), generator=generator, device=points.device)
        index, order = order[: reading.batch], order[reading.batch :]
        drawn = torch.randint(
            len(points), (reading.negative_count,), generator=generator, device=points.device
        )
        view = uniform_noise(points[index], eta, generator)
        if bank is not None:
            anchor = _encode(encoders[0], view, reading)
            keys, negatives = bank[index], bank[drawn]
            entry = torch.lerp(anchor.detach(), keys, reading.update)
            bank[index] = unit(entry) if reading.normalize else entry
        else:
            other = eta if reading.noised == "both" else 0.0
            others = uniform_noise(points[torch.cat([index, drawn])], other, generator)
            anchor, rest = _encode_both(encoders, view, others, reading)
            keys, negatives = rest[: len(index)], rest[len(index) :]
        loss = info_nce_of_dots(anchor, keys, negatives, reading.temperature)
        losses[step] = loss.item()
        if not np.isfinite(losses[step]):
            break
        optimizer.zero_grad()
        loss.backward()
        if reading.clip:
            nn.utils.clip_grad_norm_(encoders.parameters(), reading.clip)
        optimizer.step()
    return losses


@torch.no_grad()
def _bank(
    encoder: nn.Module, points: Tensor, eta: float, reading: Reading, generator: torch.Generator
) -> Tensor:
    """The memory bank before training: a view of every point, encoded."""
    return _encode(encoder, uniform_noise(points, eta, generator), reading)


def _encode_both(
    encoders: nn.ModuleList, view: Tensor, others: Tensor, reading: Reading
) -> tuple[Tensor, Tensor]:
    if encoders[0] is not encoders[1]:
        return _encode(encoders[0], view, reading), _encode(encoders[1], others, reading)
    z = _encode(encoders[0], torch.cat([view, others]), reading)  # one call is faster than two
    return z[: len(view)], z[len(view) :]


def _encode(encoder: nn.Module, x: Tensor, reading: Reading) -> Tensor:
    if x.device.type == "cpu" and torch.backends.mkldnn.is_available():
        # oneDNN: the same layers, in 0.6 of the time where the default BLAS has no AVX-512
        z = encoder(x.to_mkldnn()).to_dense()
    else:
        z = encoder(x)
    return unit(z) if reading.normalize else z


def info_nce_of_dots(anchor: Tensor, keys: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """InfoNCE with dot products as scores: -log of the key's share among itself and the negatives.

        loss = mean_i -log( exp(s_i+) / (exp(s_i+) + sum_m exp(s_im)) ),   s = a . k / temperature

    (Equation 5 of the paper, negated, without its constant log K.) Vectors are taken as they are,
    not normalised. anchor, keys (N, D), negatives (K, D), shared by all anchors. Returns a scalar.
    """
    own = rowwise(anchor, keys)
    scores = torch.cat([own[:, None], anchor @ negatives.T], dim=1) / temperature
    target = torch.zeros(len(anchor), dtype=torch.int64, device=anchor.device)
    return F.cross_entropy(scores, target)


@torch.no_grad()
def _transfer(encoder: nn.Module, data: Batch, test: Batch) -> dict[str, Any]:
    """Logistic regression from the representation (before any normalisation) to the spiral."""
    assert data.label is not None
    assert test.label is not None
    z, z_test = encoder(data.data), encoder(test.data)
    return {
        "accuracy": logistic_accuracy(z, data.label, z_test, test.label),
        "raw_accuracy": logistic_accuracy(data.data, data.label, test.data, test.label),
        "spread": float(z.std(dim=0).norm()),
        "points": np.round(z_test[:POINTS].double().numpy(), 4).tolist(),
        "labels": test.label[:POINTS].tolist(),
    }


def logistic_accuracy(x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor) -> float:
    """Test accuracy of scikit-learn's logistic regression on standardised inputs."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(x.numpy(), y.numpy())
    return float(model.score(x_test.numpy(), y_test.numpy()))
