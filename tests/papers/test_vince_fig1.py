"""The double spiral, tiny: the runs by the one loop, the judging of claims."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.papers.claims import judge
from viewfinder.papers.desk import settings
from viewfinder.papers.desk_train import train
from viewfinder.papers.result import to_json
from viewfinder.papers.vince.fig1 import PEAK, claims, run
from viewfinder.papers.vince.fig1 import _second_share as second_share
from viewfinder.papers.vince.fig1 import judge as judge_numbers
from viewfinder.papers.vince.fig1_cells import cell, summary
from viewfinder.recipes.recipe import build, merge

TINY = {
    "data": {"source": "spirals:radius=2.5,turns=2,train=640,test=100"},
    "encoder": {"name": "mlp", "widths": [32, 32, 2]},
    "batch_size": 64,
    "epochs": 2,
}


def tiny(eta: float, seed: int = 0, negatives: str = "batch", **changes: Any) -> dict[str, Any]:
    one = cell(eta, negatives=negatives, changes=merge(TINY, changes))
    return {k: v for k, v in summary(train(settings(one, seed))).items() if k != "seconds"}


def test_the_papers_setting_is_the_recipe() -> None:
    """10,000 steps of SGD at rate 0.03 with 0.9 and 1e-5, an MLP 2-128-128-128-128-2."""
    for negatives, batch in (("batch", 512), ("bank", 128)):
        made = build(None, settings(cell(0.4, negatives=negatives), 0)["recipe"])
        optimizer, encoder = made.optimizer, made.encoder.options()
        assert made.batch_size == batch
        assert made.epochs * (12_800 // batch) == 10_000
        assert optimizer.lr * batch / 256 == pytest.approx(0.03)
        assert (optimizer.momentum, optimizer.weight_decay, optimizer.clip) == (0.9, 1e-5, 1.0)
        assert (optimizer.decay_all, made.schedule.name) == (True, "constant")
        assert (encoder.widths, encoder.last_activation) == ([128, 128, 128, 128, 2], False)
        assert made.head.projector == []
        assert made.views.count == (1 if negatives == "bank" else 2)
    assert made.negatives.options().size == 4096
    assert build(None, settings(cell(0.4, quick=True), 0)["recipe"]).epochs == 200


@pytest.mark.parametrize("negatives", ["batch", "bank"])
def test_both_kinds_of_negatives_learn(negatives: str) -> None:
    found = tiny(0.1, negatives=negatives, epochs=8)
    assert len(found["losses"]) == 8
    assert found["losses"][-1] < found["losses"][0] - 0.1
    assert len(found["points"]) == len(found["labels"]) == 100


def test_more_noise_ends_at_a_higher_loss() -> None:
    still, drowned = (tiny(eta, epochs=8) for eta in (0.0, 5.0))
    assert still["stopped"] is None
    assert still["loss"] < drowned["loss"] - 0.1


def test_a_run_repeats_by_its_seed_and_differs_by_it() -> None:
    assert tiny(0.4) == tiny(0.4)
    assert tiny(0.4)["losses"] != tiny(0.4, seed=1)["losses"]


def test_a_diverging_run_says_so() -> None:
    found = tiny(0.0, optimizer={"lr": 1000, "weight_decay": 1e6, "clip": None})
    assert "loss became" in found["stopped"]
    assert found["accuracy"] is None
    assert found["loss"] is None
    assert found["points"] is None


def test_the_figure_is_drawn_stored_and_resumed(tmp_path: Path) -> None:
    seen: list[str] = []

    def once() -> Any:
        seen.clear()
        return run(
            tmp_path,
            seeds=2,
            workers=1,
            progress=lambda done, total, what: seen.append(what),
            etas=(0.0, 0.4),
            recipe=TINY,
        )

    result = once()
    assert len(list((tmp_path / "runs").glob("*.json"))) == 6  # the bare coordinates too
    assert len(seen) == 7
    assert (tmp_path / "fig1.png").read_bytes().startswith(b"\x89PNG")
    assert any("on the coordinates themselves" in note for note in result.notes)
    removed = next(
        file
        for file in sorted((tmp_path / "runs").glob("*.json"))
        if json.loads(file.read_text())["settings"]["features"] == "trained"
    )
    kept = json.loads(removed.read_text())["result"]
    removed.unlink()
    stored = json.loads(to_json(asdict(result)))
    assert judge_numbers(stored).findings == result.findings
    again = once()
    assert len(seen) == 2  # what was stored, and the one run that was missing
    repeated = json.loads(removed.read_text())["result"]
    times = {"seconds": 0, "seconds_probes": 0}
    assert {**repeated, **times} == {**kept, **times}
    assert again.findings == result.findings


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="epochs"):
        run(tmp_path, recipe={"epoch": 3})
    with pytest.raises(UserError, match="etas"):
        run(tmp_path, etas=())
    with pytest.raises(UserError, match="bank"):
        run(tmp_path, negatives="banks")


NOISE = np.random.default_rng(3).normal(0, 0.002, (8, 5)).tolist()  # by level and seed


def made(
    accuracy: float, loss: float, noise: int = 0, across: float = 0.01
) -> list[dict[str, Any]]:
    return [
        {"accuracy": accuracy + d, "loss": loss + d, "across": across + d / 10, "stopped": None}
        for d in NOISE[noise]
    ]


PAPER = {
    0.0: made(0.51, 4.0, 0),
    0.2: made(0.60, 5.0, 1),
    0.4: made(0.70, 5.5, 2),
    1.0: made(0.55, 6.5, 3),
    5.0: made(0.50, 8.3, 4),
}


def holds(runs: dict[float, list[dict[str, Any]]]) -> list[bool | None]:
    return [f.holds for f in judge(claims(runs))]


def test_the_papers_own_numbers_pass_every_claim() -> None:
    assert holds(PAPER) == [True] * 8


@pytest.mark.parametrize(
    ("eta", "accuracy", "loss", "across", "broken"),
    [
        (5.0, 0.95, 8.3, 0.01, 0),
        (1.0, 0.75, 6.5, 0.01, 1),
        (0.4, 0.90, 5.5, 0.01, 2),
        (0.0, 0.65, 4.0, 0.01, 3),
        (5.0, 0.62, 8.3, 0.01, 4),
        (0.0, 0.51, 8.2, 0.01, 5),
        (5.0, 0.50, 6.0, 0.01, 6),
        (1.0, 0.55, 6.5, 0.30, 7),
    ],
)
def test_a_number_that_differs_breaks_its_claim(
    eta: float, accuracy: float, loss: float, across: float, broken: int
) -> None:
    assert holds({**PAPER, eta: made(accuracy, loss, 6, across)})[broken] is False


def test_a_line_is_told_from_a_disc() -> None:
    g = torch.Generator().manual_seed(0)
    disc = torch.randn(300, 2, generator=g)
    line = disc[:, :1] * torch.tensor([1.0, -2.0]) + 0.01 * disc
    assert second_share(line.tolist()) < 1e-3
    assert second_share(disc.tolist()) == pytest.approx(0.5, abs=0.1)


def test_claims_without_runs_are_left_open() -> None:
    lost = [{"accuracy": None, "loss": None, "across": None, "stopped": "the loss became nan"}]
    assert holds({**PAPER, 0.0: lost * 5})[3] is None
    assert holds({PEAK: made(0.7, 5.0)})[3:5] == [None, None]


def test_one_seed_gives_no_verdict() -> None:
    assert set(holds({eta: runs[:1] for eta, runs in PAPER.items()})) == {None}
