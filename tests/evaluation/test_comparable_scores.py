"""Numbers stand side by side only where they are of the same images, measured in the same way."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from viewfinder.evaluation.probes.scores import SHARED, Score, comparable
from viewfinder.evaluation.scoring import print_scores
from viewfinder.evaluation.tasks.transfer_table import Entry, seeds_apart, tables
from viewfinder.report.content import ReportContent
from viewfinder.report.gather import _summary
from viewfinder.report.sections import score_groups

KINDS = ("trained", "untrained", "raw pixels", "supervised")
VALUES: dict[str, list[Any]] = {
    "data": ["shapes", "digits"],
    "split": [
        "train -> test",
        "train -> test, limited to 300 each",
        "train -> test (60 images, a stratified fifth, were held out with seed 0)",
    ],
    "n_train": [100, 240],
    "seed": [0, 1],
    "protocol": ["linear", "knn"],
    "options": [{"k": 5}, {"k": 20}],
}
FACTS = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})


def facts_of(score: Score) -> tuple[object, ...]:
    return (score.n_test, *(repr(score.protocol[name]) for name in SHARED))


@st.composite
def score_lists(draw: st.DrawFn) -> list[Score]:
    """Scores whose top-1 in ten thousandths tells each from all others."""
    made = draw(st.lists(st.tuples(st.sampled_from(KINDS), FACTS, st.sampled_from([61, 495]))))
    return [
        Score(features=k, top1=(137 * i + 11) / 1e4, top5=None, per_class={}, n_test=n, protocol=p)
        for i, (k, p, n) in enumerate(made[:50])
    ]


def test_the_facts_are_all_that_a_probe_is_said_to_depend_on() -> None:
    assert set(SHARED) == set(VALUES)


@given(score_lists())
@settings(max_examples=60, deadline=None)
def test_groups_bars_and_headline_are_of_one_protocol(scores: list[Score]) -> None:
    groups = comparable(scores)
    assert all(len({facts_of(s) for s in group}) == 1 for group in groups)
    assert sorted(map(id, scores)) == sorted(id(s) for group in groups for s in group)
    by_text = {f"{100 * s.top1:.1f}\N{NO-BREAK SPACE}%": set[object]() for s in scores}
    for s in scores:
        by_text[f"{100 * s.top1:.1f}\N{NO-BREAK SPACE}%"].add(facts_of(s))
    drawn = score_groups(ReportContent("title", scores=scores))
    for texts in [
        *([bar["text"] for bar in group["bars"]] for group in drawn),
        re.findall("[0-9.]+\N{NO-BREAK SPACE}%", _summary(scores)),
    ]:
        shared = [by_text[text] for text in texts]
        assert not shared or set.intersection(*shared)
    named = [(group["title"], group["facts"]) for group in drawn]
    assert len(set(named)) == len(named)


@given(score_lists())
@settings(max_examples=40, deadline=None)
def test_a_printed_table_is_of_one_choice_of_images(scores: list[Score]) -> None:
    out = io.StringIO()
    print_scores(scores, Console(file=out, width=200))
    images = {s.top1: (s.n_test, *(s.protocol[n] for n in SHARED[:4])) for s in scores}
    shown = out.getvalue().split("each score's full protocol")[:-1]
    assert len(shown) == len({repr(i) for i in images.values()})
    by_text = {f"{100 * value:.2f}": of for value, of in images.items()}
    for text in shown:
        found = re.findall(r"([0-9.]+) %", text)
        assert len({repr(by_text[value]) for value in found}) == 1


@given(score_lists())
@settings(max_examples=60, deadline=None)
def test_a_column_of_transfer_differs_in_the_seed_alone(scores: list[Score]) -> None:
    entries = [
        Entry(s.features, str(i), s.features == "trained", s, int(str(s.protocol["seed"])))
        for i, s in enumerate(scores)
    ]
    known = {s.top1: s for s in scores}
    shown: list[float] = []
    for table in tables(entries):
        for column in table.columns:
            values = [v for row in table.values.values() for v in row.get(column.key, [])]
            shown += values
            for seed in (0, 1):
                mine = [known[v] for v in values if known[v].protocol["seed"] == seed]
                assert len({facts_of(s) for s in mine}) <= 1
            loose = {
                (known[v].protocol["data"], repr(known[v].protocol["options"])) for v in values
            }
            assert len(loose) == 1
        labels = [column.label for column in table.columns]
        assert len(set(labels)) == len(labels)
    assert sorted(shown) == sorted(known)


def one(kind: str, seed: int, split: str = "train -> test", n_test: int = 60) -> Entry:
    protocol = {"data": "digits", "split": split, "n_train": 9, "protocol": "knn", "seed": None}
    made = Score(
        features=kind, top1=0.5, top5=None, per_class={}, n_test=n_test, protocol={**protocol}
    )
    return Entry(kind, str(seed), kind == "trained", made, seed)


def test_seeds_are_averaged_though_each_holds_out_a_part_of_its_own() -> None:
    words = "train -> test ({} images, a stratified fifth, were held out with seed {})"
    entries = [one("trained", s, words.format(60 + s, s), 60 + s) for s in (0, 1)]
    (table,) = tables(entries)
    assert table.values == {"trained": {"digits": [0.5, 0.5]}}


@pytest.mark.parametrize(
    ("seeds", "told"), [([(0, 1), (1, 0)], ""), ([(0, 1), (0,)], "trained: 0, 1; other: 0")]
)
def test_rows_of_different_seeds_are_told(seeds: list[tuple[int, ...]], told: str) -> None:
    entries = [one("trained", s) for s in seeds[0]]
    entries += [Entry("other", str(s), True, one("trained", s).score, s) for s in seeds[1]]
    assert seeds_apart(entries) == told
