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

from viewfinder.data.batch import Batch
from viewfinder.data.spirals import spirals
from viewfinder.encoders.mlp import mlp
from viewfinder.objectives.similarity import rowwise, unit
from viewfinder.papers.runs import Settings
from viewfinder.randomness import derive, torch_generator
from viewfinder.views.noise import uniform_noise

POINTS = 600  # test points whose representations are kept for the figure
CURVE = 100  # points of the loss curve


@dataclass(frozen=True)
class Reading:
    """One reading of section 4.3. The paper gives the first ten fields; the rest is chosen.

    train        10,000 steps of 128 are "100 epochs", so there are 12,800 points
    radius, turns, arrangement   see ``spirals``; the arms are radius / (2 turns) apart
    temperature  the scores are divided by it
    normalize    compare representations on the circle, as instance discrimination does
    noised       "both" views (equation 5), or "one", the other being the point itself
    negatives    "views", noised like the positive (equation 5), or "points"
    encoders     2, one for each view (equation 2: g_theta and g_phi), or 1 shared by both;
                 the transfer task uses the first
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
    radius: float = 2.0
    turns: float = 2.5
    arrangement: str = "interleaved"
    temperature: float = 1.0
    normalize: bool = False
    noised: str = "both"
    negatives: str = "views"
    encoders: int = 2
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
    losses = _optimise(encoders, data.images.to(device), eta, reading, seed)
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
    )


def _encoders(reading: Reading, seed: int) -> nn.ModuleList:
    """The encoders of the first and the second view; the same one twice where it is shared."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "spirals/weights"))
        shape = (2, reading.hidden, reading.layers, reading.outputs)
        made = [mlp(*shape, reading.activation) for _ in range(reading.encoders)]  # type: ignore[arg-type]
    return nn.ModuleList([made[0], made[-1]])


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
    losses = np.full(reading.steps, np.nan)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(reading.steps):
        if len(order) < reading.batch:
            order = torch.randperm(len(points), generator=generator, device=points.device)
        index, order = order[: reading.batch], order[reading.batch :]
        views = _views(points, index, eta, reading, generator)
        loss = info_nce_loss(encoders, *views, reading)
        losses[step] = loss.item()
        if not np.isfinite(losses[step]):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def _views(
    points: Tensor, index: Tensor, eta: float, reading: Reading, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Both views of a batch, and negatives drawn afresh from all points, with replacement."""
    drawn = torch.randint(
        len(points), (reading.negative_count,), generator=generator, device=points.device
    )
    first = uniform_noise(points[index], eta, generator)
    second = uniform_noise(points[index], eta if reading.noised == "both" else 0.0, generator)
    others = uniform_noise(points[drawn], eta if reading.negatives == "views" else 0.0, generator)
    return first, second, others


def info_nce_loss(
    encoders: nn.ModuleList, first: Tensor, second: Tensor, others: Tensor, reading: Reading
) -> Tensor:
    """InfoNCE of a batch: -log of the positive's share among itself and the negatives.

        loss = mean_i -log( exp(s_ii) / (exp(s_ii) + sum_k exp(s_ik)) ),   s = g(x) . h(y) / tau

    (equation 5 of the paper, negated, without the constant log K), with the same negatives for
    the whole batch. first, second (N, 2), others (K, 2): returns a scalar.
    """
    if encoders[0] is encoders[1]:  # one call is faster than two
        z = encoders[0](torch.cat([first, second, others]))
        anchor, keys = z[: len(first)], z[len(first) :]
    else:
        anchor, keys = encoders[0](first), encoders[1](torch.cat([second, others]))
    if reading.normalize:
        anchor, keys = unit(anchor), unit(keys)
    own = rowwise(anchor, keys[: len(first)])
    scores = torch.cat([own[:, None], anchor @ keys[len(first) :].T], dim=1)
    target = torch.zeros(len(first), dtype=torch.int64, device=first.device)
    return F.cross_entropy(scores / reading.temperature, target)


@torch.no_grad()
def _transfer(encoder: nn.Module, data: Batch, test: Batch) -> dict[str, Any]:
    """Logistic regression from the representation (before any normalisation) to the spiral."""
    assert data.label is not None
    assert test.label is not None
    z, z_test = encoder(data.images), encoder(test.images)
    return {
        "accuracy": logistic_accuracy(z, data.label, z_test, test.label),
        "raw_accuracy": logistic_accuracy(data.images, data.label, test.images, test.label),
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
