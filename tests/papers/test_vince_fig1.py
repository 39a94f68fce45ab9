"""The double spiral, tiny: the loss against its definition, the runs, the judging of claims."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.papers.vince.fig1 import findings, run
from viewfinder.papers.vince.fig1_train import Reading, info_nce_of_dots, logistic_accuracy, train

TINY = {"steps": 60, "negative_count": 128, "train": 1280, "test": 200, "batch": 64}


def tiny(eta: float, seed: int = 0, **changes: Any) -> dict[str, Any]:
    settings = {**asdict(Reading(**{**TINY, **changes})), "eta": eta, "seed": seed, "device": "cpu"}
    return {k: v for k, v in train(settings).items() if k != "seconds"}


def loop(anchor: list[list[float]], keys: list[list[float]], temperature: float) -> float:
    """InfoNCE written out: the first keys are the anchors' own, the others negatives of all."""
    total = 0.0
    for i, a in enumerate(anchor):
        own = math.exp(sum(x * y for x, y in zip(a, keys[i], strict=True)) / temperature)
        rest = sum(
            math.exp(sum(x * y for x, y in zip(a, k, strict=True)) / temperature)
            for k in keys[len(anchor) :]
        )
        total -= math.log(own / (own + rest))
    return total / len(anchor)


def test_the_loss_is_info_nce_of_dot_products() -> None:
    g = torch.Generator().manual_seed(0)
    anchor, keys = torch.randn(2, 5, 2, dtype=torch.float64, generator=g).unbind()
    negatives = torch.randn(9, 2, dtype=torch.float64, generator=g)
    expected = loop(anchor.tolist(), [*keys.tolist(), *negatives.tolist()], 0.5)
    loss = info_nce_of_dots(anchor, keys, negatives, 0.5)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_encoders_that_see_nothing_lose_log_of_all_candidates() -> None:
    z = torch.ones(7, 2)
    assert info_nce_of_dots(z, z, z, 1.0).item() == pytest.approx(math.log(8), abs=1e-6)


@pytest.mark.parametrize(
    "reading",
    [
        {"keys": "encoder", "clip": 0.0},
        {"keys": "second", "noised": "one"},
        {"keys": "bank", "update": 0.5, "normalize": True, "temperature": 0.2},
    ],
    ids=str,
)
def test_every_reading_learns(reading: dict[str, Any]) -> None:
    found = tiny(0.1, layers=3, hidden=64, steps=120, **reading)
    assert found["losses"][-1] < found["losses"][0] - 0.1


def test_more_noise_ends_at_a_higher_loss() -> None:
    still, drowned = (tiny(eta, steps=120, layers=3, hidden=64) for eta in (0.0, 5.0))
    assert not still["diverged"]
    assert still["loss"] < drowned["loss"] - 0.1
    assert still["losses"][-1] < still["losses"][0]


def test_a_run_repeats_by_its_seed_and_differs_by_it() -> None:
    state = torch.get_rng_state()
    assert tiny(0.4, steps=20) == tiny(0.4, steps=20)
    assert tiny(0.4, steps=20)["losses"] != tiny(0.4, seed=1, steps=20)["losses"]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_diverging_run_says_so() -> None:
    found = tiny(0.0, rate=1e6, clip=0.0, steps=20)
    assert found["diverged"]
    assert found["accuracy"] is None


def test_logistic_accuracy_on_what_a_line_can_and_cannot_separate() -> None:
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    side = (x[:, 0] > 0).long()
    assert logistic_accuracy(x, side, x, side) > 0.97
    exclusive = side ^ (x[:, 1] > 0).long()
    assert logistic_accuracy(x, exclusive, x, exclusive) < 0.65


def test_the_figure_is_drawn_stored_and_resumed(tmp_path: Path) -> None:
    tiny_run = {**TINY, "steps": 20, "etas": (0.0, 0.4)}
    seen: list[str] = []
    result = run(
        tmp_path,
        seeds=2,
        workers=1,
        progress=lambda done, total, what: seen.append(what),
        **tiny_run,
    )
    assert len(list((tmp_path / "runs").glob("*.json"))) == 4
    assert len(seen) == 5
    first = (tmp_path / "fig1.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    removed = next((tmp_path / "runs").glob("*.json"))
    kept = json.loads(removed.read_text())["result"]
    removed.unlink()
    seen.clear()
    again = run(
        tmp_path,
        seeds=2,
        workers=1,
        progress=lambda done, total, what: seen.append(what),
        **tiny_run,
    )
    assert len(seen) == 2  # what was stored, and the one run that was missing
    repeated = json.loads(removed.read_text())["result"]
    assert {**repeated, "seconds": 0} == {**kept, "seconds": 0}
    assert again.findings == result.findings


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="turns"):
        run(tmp_path, turn=3)
    with pytest.raises(UserError, match="etas"):
        run(tmp_path, etas=())


def made(accuracy: float, loss: float) -> list[dict[str, Any]]:
    return [{"accuracy": accuracy, "loss": loss, "diverged": False}]


PAPER = {
    0.0: made(0.51, 4.0),
    0.2: made(0.60, 5.0),
    0.4: made(0.70, 5.5),
    1.0: made(0.55, 6.5),
    5.0: made(0.50, 8.3),
}


def holds(runs: dict[float, list[dict[str, Any]]]) -> list[bool | None]:
    return [f.holds for f in findings(runs)]


def test_the_papers_own_numbers_pass_every_claim() -> None:
    assert holds(PAPER) == [True] * 6 + [None]


@pytest.mark.parametrize(
    ("eta", "accuracy", "loss", "broken"),
    [
        (0.0, 0.65, 4.0, 2),
        (0.0, 0.51, 8.2, 4),
        (5.0, 0.62, 8.3, 3),
        (5.0, 0.50, 6.0, 5),
        (0.4, 0.90, 5.5, 1),
        (1.0, 0.75, 6.5, 0),
    ],
)
def test_a_number_that_differs_breaks_its_claim(
    eta: float, accuracy: float, loss: float, broken: int
) -> None:
    assert holds({**PAPER, eta: made(accuracy, loss)})[broken] is False


def test_a_line_is_told_from_a_disc() -> None:
    g = torch.Generator().manual_seed(0)
    disc = torch.randn(300, 2, generator=g)
    line = disc[:, :1] * torch.tensor([1.0, -2.0]) + 0.01 * disc
    for points, line_like in ((line, True), (disc, False)):
        far = [{**made(0.5, 8.0)[0], "points": points.tolist()}]
        assert holds({**PAPER, 5.0: far})[-1] is line_like


def test_claims_without_runs_are_left_open() -> None:
    lost = [{"accuracy": None, "loss": None, "diverged": True}]
    assert holds({**PAPER, 0.0: lost})[2] is None
    assert holds({**PAPER, 0.0: lost})[4] is False
    assert holds({0.4: made(0.7, 5.0)})[2:5] == [None, None, None]


def test_the_fast_layers_give_the_gradients_of_the_plain_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"steps": 5, "layers": 3, "hidden": 32}
    fast = tiny(0.4, **settings)["losses"]
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert fast == pytest.approx(tiny(0.4, **settings)["losses"], abs=2e-4)
