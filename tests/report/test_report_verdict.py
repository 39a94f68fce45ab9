"""Where something untrained beats the trained features, a reader is told, and told what to try."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewfinder.evaluation.probes.scores import Score
from viewfinder.networks.encoders import ENCODERS
from viewfinder.report.content import ReportContent
from viewfinder.report.gather import gather
from viewfinder.report.page import render
from viewfinder.report.verdict import FEW_IMAGES, RIVALS, verdict
from viewfinder.runs.results import append_results


def score(features: str, top1: float, **protocol: object) -> Score:
    known = {"protocol": "linear", "data": "photos", "split": "train -> test", "n_train": 1983}
    return Score(
        features=features, top1=top1, top5=None, per_class={}, n_test=496, protocol=known | protocol
    )


@given(own=st.integers(0, 100), rival=st.integers(0, 100), kind=st.sampled_from(sorted(RIVALS)))
def test_told_exactly_where_the_rival_is_better(own: int, rival: int, kind: str) -> None:
    scores = [score("trained", own / 100), score(kind, rival / 100), score("supervised", 1.0)]
    told = verdict(scores, {"epochs": 20})
    assert bool(told) == (rival > own)
    if told:
        assert RIVALS[kind] in told[0].lower()
        assert f"{rival:.1f} % against {own:.1f} %" in told[0]


@pytest.mark.parametrize(
    "facts",
    [
        {"data": "digits"},
        {"split": "train -> test, limited to 300 each"},
        {"n_train": 7},
        {"seed": 1},
        {"protocol": "knn"},
        {"options": {"k": 1}},
    ],
)
def test_a_rival_of_other_images_or_another_probe_is_none(facts: dict[str, object]) -> None:
    assert verdict([score("trained", 0.1), score("raw pixels", 0.9, **facts)], {}) == []


LOST = [score("trained", 0.3), score("raw pixels", 0.4)]


@pytest.mark.parametrize("name", [row.name for row in ENCODERS.values()])
@pytest.mark.parametrize("started", [False, True])
def test_public_weights_come_first_where_images_are_few_and_they_are_not_used_yet(
    name: str, started: bool
) -> None:
    encoder = {"name": name, "pretrained": started}
    used = started and ENCODERS[name].pretrained
    advice = verdict(LOST, {"encoder": encoder, "epochs": 20})[-1]
    assert ("encoder.pretrained=true" in advice) == (not used)
    assert "epochs=80" in advice
    if not used:
        assert advice.index("encoder.pretrained=true") < advice.index("epochs=80")
        named = "encoder=resnet18 " in advice
        assert named != ENCODERS[name].pretrained
        many = [s.model_copy(update={"protocol": {**s.protocol, "n_train": FEW_IMAGES + 1}})
                for s in LOST]  # fmt: skip
        advice = verdict(many, {"encoder": encoder, "epochs": 20})[-1]
        assert advice.index("encoder.pretrained=true") > advice.index("epochs=80")


def test_data_that_are_no_images_are_given_no_advice_on_images() -> None:
    advice = verdict(LOST, {"data": {"modality": "points"}, "epochs": 5})[-1]
    assert advice == "What to try next: more epochs (epochs=20)."


def test_the_report_and_its_summary_say_so(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("method: simclr\ndata: {source: photos}\nepochs: 20\n")
    append_results(tmp_path / "results.json", [*LOST, score("raw pixels", 0.9, data="digits")])
    found = gather(tmp_path)
    assert len(found.verdict) == 2 and "90" not in " ".join(found.verdict)
    page = render(found)
    assert all(sentence.split(":")[0] in page for sentence in found.verdict)
    assert render(ReportContent("no verdict")).count("What to try next") == 0
