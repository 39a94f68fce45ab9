from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.classification import evaluate_features
from viewfinder.evaluation.probes.scores import Score, accuracies
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.runs.results import append_results, read_results


def score(top1: float = 0.5, **protocol: object) -> Score:
    return Score(
        top1=top1,
        top5=None,
        per_class={"cat": top1},
        n_test=4,
        protocol={"protocol": "knn", **protocol},
    )


def test_accuracies_by_hand() -> None:
    scores = torch.tensor(
        [
            [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
            [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
            [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
            [0.1, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
        ]
    )
    top1, top5, per_class = accuracies(scores, torch.tensor([0, 4, 5, 0]), list("abcdefg"))
    assert (top1, top5) == (0.25, 0.5)
    assert per_class == {"a": 0.5, "e": 0.0, "f": 0.0}


def test_top5_needs_more_than_five_classes() -> None:
    labels = torch.arange(3)
    assert accuracies(torch.eye(3), labels, list("abc")) == (1.0, None, dict.fromkeys("abc", 1.0))
    assert accuracies(torch.eye(5), torch.arange(5), list("abcde"))[1] is None
    assert accuracies(torch.eye(6), torch.arange(6), list("abcdef"))[1] == 1.0


def test_a_class_without_a_vote_is_not_predicted() -> None:
    scores = torch.full((1, 8), -torch.inf)
    scores[0, 3] = 1.0
    names = list("abcdefgh")
    assert accuracies(scores, torch.tensor([3]), names)[:2] == (1.0, 1.0)
    for other in (0, 1, 2, 4, 5, 6, 7):
        assert accuracies(scores, torch.tensor([other]), names)[:2] == (0.0, 0.0)


def test_json_round_trip() -> None:
    made = score(k=20, temperature=0.07, notes=["a", "b"], seed=None)
    assert Score.model_validate_json(made.model_dump_json()) == made


def test_an_equal_protocol_replaces_and_another_is_added(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "results.json"
    append_results(path, [score(0.5, k=1, data="x"), score(0.6, k=2)])
    append_results(path, [score(0.7, data="x", k=1), score(0.8, k=3)])
    assert [(s.top1, s.protocol["k"]) for s in read_results(path)] == [(0.7, 1), (0.6, 2), (0.8, 3)]
    baseline = score(0.1, k=3).model_copy(update={"features": "raw pixels"})
    append_results(path, [baseline])
    assert [s.features for s in read_results(path)] == ["trained"] * 3 + ["raw pixels"]
    assert isinstance(json.loads(path.read_text()), list)
    assert {p.name for p in path.parent.iterdir()} == {".lock", "results.json"}


@pytest.mark.parametrize("name", PROBES)
def test_measuring_again_replaces_whatever_the_probe_finds(name: str, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    x = torch.randn(120, 4, generator=generator) + labels[:, None]
    path = tmp_path / "results.json"
    for noise in (0.0, 5.0):  # another weight decay is chosen, and other iterations are needed
        features = x + noise * torch.randn(120, 4, generator=generator)
        found = evaluate_features(
            features[:90],
            labels[:90].numpy(),
            features[90:],
            labels[90:].numpy(),
            name,
            class_names=list("abc"),
            data="x",
        )
        append_results(path, [found])
    assert read_results(path) == [found]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("top1", 1.7, "top1 is 1.7"),
        ("top1", -0.1, "top1 is -0.1"),
        ("top1", float("nan"), "top1 is nan"),
        ("top1", "0.5", "top1 is '0.5'"),
        ("top5", 0.1, "top5 is 0.1, less than top1"),
        ("per_class", {"cat": 2.0}, "per_class.cat is 2.0"),
        ("n_test", -4, "n_test is -4"),
        ("n_test", 4.5, "n_test is 4.5"),
        ("features", 3, "features is 3"),
        ("protocol", [], r"protocol is \[\]"),
        ("top2", 0.5, "top2 is 0.5"),
        ("r2", 1.5, "r2 is 1.5"),
    ],
)
def test_a_value_that_no_score_can_have_is_named(
    key: str, value: object, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "results.json"
    append_results(path, [score(k=1), score(k=2)])
    entries = json.loads(path.read_text())
    entries[1][key] = value
    path.write_text(json.dumps(entries))
    with pytest.raises(UserError, match=rf"results\.json.*score 2: {said}"):
        read_results(path)


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '[{"top1": 1}]', "\x00\xff"])
def test_a_damaged_file_is_named_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"results\.json is not a list"):
        append_results(path, [score()])
    assert path.read_text() == content


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    threads = [
        threading.Thread(target=append_results, args=(path, [score(k=k)])) for k in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(str(s.protocol["k"])) for s in read_results(path)) == list(range(12))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        append_results(tmp_path / "file" / "results.json", [score()])
