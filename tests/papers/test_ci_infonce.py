"""The experiments of CI-InfoNCE, tiny: shape of the results, claims, stored runs, recipes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from viewfinder.core.errors import UserError
from viewfinder.papers import desk, desk_train, image_sets
from viewfinder.papers.ci_infonce import fig3, fig4, fig5, fig6, longer, table1
from viewfinder.papers.ci_infonce import shared as ci_infonce
from viewfinder.papers.claims import judge
from viewfinder.papers.experiment import RECIPES
from viewfinder.papers.paper_numbers import TOP1
from viewfinder.papers.registry import EXPERIMENTS, reproduce
from viewfinder.papers.registry import judge as judge_stored
from viewfinder.papers.result import Spread, percent
from viewfinder.positives.synthetic import Configuration
from viewfinder.recipes.recipe import build, merge

NOISE = np.random.default_rng(1).normal(0, 0.001, (8, 3)).tolist()  # by arm and seed
CLASSES, EACH = 8, 12
NODES = ["root", "left", "right"]


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both image sets with 96 images of 12 px, and runs of one epoch."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "sets"
    labels = np.repeat(np.arange(CLASSES), EACH)
    names = ["gender", "masterCategory", "subCategory", "articleType"]
    names += ["baseColour", "season", "year", "usage"]
    for split in ("train", "test"):
        shade = rng.integers(0, 255, (len(labels), 12, 12, 3))
        images = ((shade + 3 * labels[:, None, None, None] * 10) / 2).astype(np.uint8)
        attributes = rng.integers(0, 3, (len(labels), 8))
        attributes[:, 1:4] = labels[:, None]
        common = {"images": images, "labels": labels}
        (folder / "fashion_products").mkdir(parents=True, exist_ok=True)
        (folder / "tiny_imagenet50_hier").mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / "fashion_products" / f"{split}.npz",
            **common,
            class_names=[f"type {c}" for c in range(CLASSES)],
            attributes=attributes,
            attribute_names=names,
        )
        wnids = [f"n{c}" for c in range(CLASSES)]
        np.savez(
            folder / "tiny_imagenet50_hier" / f"{split}.npz",
            **common,
            class_names=wnids,
            class_wnids=wnids,
            node_wnids=[*NODES, *wnids],
            node_names=[*NODES, *wnids],
            node_parent=[-1, 0, 0, *([1] * 4), *([2] * 4)],
        )
    monkeypatch.setenv(image_sets.VARIABLE, str(folder))
    small = {
        "epochs": 1,
        "batch_size": 32,
        "precision": "32",
        "encoder": {"widths": [4, 8]},
        "head": {"projector": [16, 8]},
        "data": {"size": 12, "limit": 96},
        "views": {"size": 12},
    }
    monkeypatch.setattr(desk, "COMMON", merge(desk.COMMON, small))
    for name in ("FASHION", "SHAPES", "TINY_IMAGENET"):
        part = {k: v for k, v in getattr(ci_infonce, name).items() if k != "limit"}
        limit = {"size": 16 if name == "SHAPES" else 12} | (
            {"limit": 64} if name == "SHAPES" else {}
        )
        monkeypatch.setattr(ci_infonce, name, {**part, **limit})
    monkeypatch.setattr(table1, "KS", (1, 2))
    monkeypatch.setattr(
        fig3,
        "CONFIGURATIONS",
        (
            Configuration("fix_conditional", 0),
            Configuration("fix_conditional", 1),
            Configuration("fix_information", 0),
            Configuration("fix_entropy", 4, 4),
        ),
    )
    monkeypatch.setattr(fig4, "EPOCHS", 3)
    monkeypatch.setattr(fig4, "K", 6)
    monkeypatch.setattr(fig5, "KS", {"fashion": (1, 2, 4), "shapes": (1, 2, 4)})
    monkeypatch.setattr(fig6, "LEVELS", (2, 3))
    for name, value in {"LEVELS": (2, 3), "LABELS": 3, "EPOCHS": 1, "RATES": (0.003,)}.items():
        monkeypatch.setattr(longer, name, value)
    return folder


OWN = [name for name in EXPERIMENTS if name.startswith("ci-infonce/")]


@pytest.mark.parametrize("name", OWN)
def test_an_experiment_is_written_stored_and_not_run_twice(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    result = reproduce(name, out, seeds=1, workers=1)
    assert result.findings
    written = json.loads((out / "results.json").read_text())
    for cell in written["numbers"].values():
        (only,) = cell["seeds"]
        assert only["stopped"] is None
        assert 0 <= only["top1"] <= (1 if only["top5"] is None else only["top5"]) <= 1
        assert only["scores"][0]["protocol"]["protocol"] == "linear"
        assert str(tmp_path) not in json.dumps(only)  # where the data lie is nobody's business
    for figure in result.figures:
        assert (out / figure).read_bytes().startswith(b"\x89PNG")
    table = (out / "table.md").read_text()
    assert "raw pixels" in table
    assert "untrained encoder" in table
    for recipe in EXPERIMENTS[name].recipes:
        assert f"viewfinder/papers/recipes/{recipe}.yaml" in table

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr(desk_train, "fit", never)
    monkeypatch.setattr(desk_train, "probe", never)
    again = reproduce(name, out, seeds=1, workers=1)
    assert again.findings == result.findings
    judged = judge_stored(name, out)
    assert (judged.findings, judged.tables) == (result.findings, result.tables)


def test_the_quick_form_is_smaller(tmp_path: Path) -> None:
    quick = reproduce("ci-infonce/table1", tmp_path, seeds=1, quick=True, workers=1)
    assert {name.partition(": ")[0] for name in quick.numbers} == {"fashion"}
    assert {cell["recipe"]["method"] for cell in quick.numbers.values()} >= {"moco", "supcon"}


def test_the_plane_has_the_closed_forms_of_the_families(tmp_path: Path) -> None:
    cells = [fig3.cell(c) for c in fig3.CONFIGURATIONS]
    results = desk.run_cells(cells, tmp_path, seeds=1, workers=1)
    info = {name: runs[0]["information"] for name, runs in results.items()}
    for name, (i, h) in {
        "fix_conditional 0": (3, 0),  # eight classes of twelve
        "fix_conditional 1": (2, 0),
        "fix_information 0": (3, np.log2(EACH)),
    }.items():
        assert info[name]["i"] == pytest.approx(i)
        assert info[name]["h_z_given_t"] == pytest.approx(h)
    assert info["fix_entropy 4, 4 shuffled"]["i"] < 3


def test_clusters_are_watched_at_every_epoch(tmp_path: Path) -> None:
    wanted = (fig4.OURS, fig4.PCL)
    cells = [cell for cell in fig4.cells() if cell.name in wanted]
    results = desk.run_cells(cells, tmp_path, seeds=1, workers=1)
    for name in wanted:
        rows = results[name][0]["watched"]["ClusterInformation"]
        assert len(rows) == 3
        for (one,) in rows:
            assert 1 < one["clusters"] <= 6
            assert one["i"] + one["h_z_given_t"] <= np.log2(6) + 1e-9  # = H(Z)


def test_figure_4_has_all_five_methods() -> None:
    names = {cell.name for cell in fig4.cells()}
    assert set(fig4.PAPER) <= names


def test_the_labels_tree_is_no_attribute() -> None:
    for cell in fig5.cells("fashion", (1, 4)):
        columns = cell.recipe.get("positives", {}).get("columns", [])
        assert not {c.partition("=")[0] for c in columns} & {
            "masterCategory",
            "subCategory",
            "articleType",
        }


def test_missing_data_name_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(image_sets.VARIABLE, str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"VIEWFINDER_DATA is .*fashion_products"):
        reproduce("ci-infonce/fig3", tmp_path / "out", seeds=1)
    monkeypatch.delenv(image_sets.VARIABLE)
    for name in OWN:
        with pytest.raises(UserError, match="VIEWFINDER_DATA is not set"):
            reproduce(name, tmp_path / "out", seeds=1)
    assert not (tmp_path / "out").exists()


def test_a_cell_can_be_probed_on_other_data_and_under_other_protocols() -> None:
    cell = desk.Cell(
        "x",
        {"method": "simclr", "data": ci_infonce.FASHION},
        features="untrained",
        protocols=("knn", "linear"),
        transfer=(ci_infonce.TINY_IMAGENET, {"source": "digits"}),
    )
    result = desk_train.train(desk.settings(cell, 0))
    assert [s["protocol"]["protocol"] for s in result["scores"]] == ["knn", "linear"]
    assert result["top1"] == result["scores"][0]["top1"]
    data = [[s["protocol"]["data"] for s in scores] for scores in result["transfer"]]
    assert data == [[ci_infonce.TINY_IMAGENET["source"]] * 2, ["digits"] * 2]
    assert result["transfer"][1][1]["top1"] > 0.3  # digits are easy, also for a random network


def test_a_stopped_run_is_told_and_not_counted() -> None:
    diverging = {"name": "sgd", "lr": 1000, "weight_decay": 1e6}
    cell = ci_infonce.simclr("x", ci_infonce.FASHION, optimizer=diverging, epochs=8)
    result = desk_train.train(desk.settings(cell, 0))
    assert result["stopped"]
    assert result["top1"] is None
    assert desk.accuracy([result]) is None
    assert "x, seed 0: stopped" in desk.stopped({"x": [result]})[0]


def test_cells_of_one_name_are_refused(tmp_path: Path) -> None:
    cell = ci_infonce.simclr("x", ci_infonce.FASHION)
    with pytest.raises(ValueError, match="same name"):
        desk.run_cells([cell, cell], tmp_path, seeds=1)


def run_of(accuracy: float, i: float = 1.0, h: float = 0.0) -> dict[str, Any]:
    return {
        "top1": accuracy,
        "top5": None,
        "information": {"i": i, "h_z_given_t": h},
        "watched": {},
        "stopped": None,
    }


def seeds_of(
    accuracy: float, i: float = 1.0, h: float = 0.0, noise: int = 0
) -> list[dict[str, Any]]:
    return [run_of(accuracy + d, i, h) for d in NOISE[noise]]


def verdicts(claims: list[Any]) -> list[bool | None]:
    return [f.holds for f in judge(claims)]


@pytest.mark.parametrize("holds", [True, False])
def test_table_1_claims_follow_the_order(holds: bool) -> None:
    t = table1
    order = [t.SIMCLR, t.CE_Z, t.MOCO, t.CI, t.SUPCON, t.CE]
    best = range(len(order)) if holds else range(len(order), 0, -1)
    results = {
        f"fashion: {row}": seeds_of(0.3 + 0.05 * n, noise=n)
        for row, n in zip(order, best, strict=True)
    }
    assert verdicts(t.claims(results)) == [holds] * 3


def plane(accuracy: Callable[[float, float], float]) -> dict[str, list[dict[str, Any]]]:
    places = {"fix_conditional 0": (4, 0), "fix_conditional 1": (3, 0), "fix_conditional 2": (2, 0)}
    places |= {"fix_information 0": (4, 4), "fix_information 1": (4, 2)}
    places |= {"fix_entropy 4, 4 shuffled": (2, 2), "fix_entropy 4, 8 shuffled": (1, 3)}
    return {
        name: seeds_of(accuracy(i, h), i, h, noise)
        for noise, (name, (i, h)) in enumerate(places.items())
    }


def test_figure_3_tells_both_measures_from_one_of_them() -> None:
    assert verdicts(fig3.claims(plane(lambda i, h: 0.3 + 0.05 * i - 0.05 * h))) == [True] * 5
    assert verdicts(fig3.claims(plane(lambda i, h: 0.3 - 0.05 * i + 0.05 * h))) == [False] * 5
    of_i_alone = verdicts(fig3.claims(plane(lambda i, h: 0.3 + 0.05 * i)))
    assert of_i_alone[0] is of_i_alone[3] is True  # dominance holds, by I alone
    assert of_i_alone[1] is of_i_alone[4] is None  # H has no part in it


@pytest.mark.parametrize(("by_rule", "verdict"), [(2, True), (1, False)])
def test_figure_5_rules_are_held_against_all_others(by_rule: int, verdict: bool) -> None:
    results = {
        f"shapes: {k}": seeds_of(a, i=1.0 + k / 10, h=float(k != by_rule) + k / 10, noise=k)
        for k, a in ((1, 0.3), (2, 0.5), (3, 0.4))
    }
    results[f"shapes: {fig5.INSTANCES}"] = seeds_of(0.2, i=4.0, h=4.0)
    found = {f.claim.partition(": ")[2]: f.holds for f in judge(fig5.claims(results))}
    assert found["accuracy first rises with k, then falls"] is True
    assert found[f"no k is better than the one {fig5.LARGEST}"] is verdict


def test_figure_5_rules_are_those_of_the_sweep() -> None:
    """I rises and H rises; both axes scaled to what they can be, they meet in the middle."""
    places = {1: (1.0, 0.0), 2: (2.0, 1.0), 3: (2.5, 3.5), 4: (4.0, 4.0)}
    results = {f"shapes: {k}": seeds_of(0.5, i, h) for k, (i, h) in places.items()}
    results[f"shapes: {fig5.INSTANCES}"] = seeds_of(0.2, i=4.0, h=4.0)
    # I - H is 1, 1, -1, 0 and the first of equals is taken; the gaps are .75, .25, .5, 1
    assert fig5.rules(results, "shapes") == {fig5.LARGEST: 1, fig5.SCALED: 2}


@pytest.mark.parametrize("sign", [1, -1])
def test_figure_4_curves_are_judged_by_direction(sign: int) -> None:
    def watched(shift: float) -> list[dict[str, Any]]:
        noise = np.random.default_rng(7 if shift else 8).normal(0, 0.01, (3, 6, 2))
        return [
            {
                **run_of(0.5),
                "watched": {
                    "ClusterInformation": [
                        [
                            {
                                "i": 2 + shift + sign * e + own[e, 0],
                                "h_z_given_t": 9 - shift - sign * e + own[e, 1],
                            }
                        ]
                        for e in range(6)
                    ]
                },
            }
            for own in noise
        ]

    others = {name: [run_of(0.5)] * 3 for name in (fig4.SWAV, fig4.SIMCLR, fig4.MOCO)}
    results = {**others, fig4.OURS: watched(sign * 0.5), fig4.PCL: watched(0.0)}
    found = {f.claim: f.holds for f in judge(fig4.claims(results))}
    curves = [h for claim, h in found.items() if "I(Z;T)" in claim or "H(Z|T)" in claim]
    assert curves == [sign == 1] * 6


def test_figure_4_says_nothing_of_pcl_where_its_queue_is_another() -> None:
    recipes = {cell.name: cell.recipe for cell in fig4.cells()}
    assert fig4.barred(recipes) == {}
    longer = merge(recipes[fig4.PCL], {"negatives": {"size": 4096}})
    barred = fig4.barred({**recipes, fig4.PCL: longer})
    assert list(barred) == [fig4.PCL]
    assert "4096" in barred[fig4.PCL]
    names = (fig4.OURS, fig4.PCL, fig4.SWAV, fig4.SIMCLR, fig4.MOCO)
    results = {name: seeds_of(0.9 - n / 10, noise=n) for n, name in enumerate(names)}
    best = judge(fig4.claims(results), barred=barred)[0]
    assert (best.holds, "queue" in best.verdict) == (None, True)
    assert judge(fig4.claims(results))[0].holds is True


def test_figure_6_claims() -> None:
    results = {}
    for n, (level, i) in enumerate(((3, 1.0), (5, 2.0), (7, 3.0))):
        results[fig6.name_of("CI-InfoNCE", level)] = seeds_of(0.4 + level / 50, i, noise=n)
        results[fig6.name_of("cross-entropy", level)] = seeds_of(0.3 + level / 50, i, noise=n + 3)
    results[fig6.INSTANCES] = seeds_of(0.2, 3.0, 5.0, noise=7)
    assert verdicts(fig6.claims(results)) == [True] * 5
    results[fig6.INSTANCES] = seeds_of(0.9, 3.0, 5.0, noise=7)
    assert verdicts(fig6.claims(results))[4:] == [False]


def test_percent_and_best_k() -> None:
    assert percent(Spread((0.5, 0.52))) == "51.0 ± 1.4"
    assert percent(Spread((0.5,))) == "50.0"
    assert percent(None) == "-"
    both = {1: {"i": 1.0, "h_z_given_t": 0.5}, 2: {"i": 2.0, "h_z_given_t": 1.0}}
    assert ci_infonce.best_k(both) == 2


def test_all_recipes_of_the_paper_are_named_and_valid() -> None:
    named = {file for e in EXPERIMENTS.values() for file in e.recipe_files()}
    assert {f for f in named if f.parent.name == "ci-infonce"} == set(
        (RECIPES / "ci-infonce").glob("*.yaml")
    )
    for file in named:
        assert build(file=file).to_yaml()


# data, encoder (with its head), length (batch and epochs), optimiser; and how the run is kept
MAY_DIFFER = {"data", "encoder", "head", "epochs", "batch_size", "optimizer", "schedule"}
MAY_DIFFER |= {"evaluation", "workers", "checkpoint_every", "logger", "precision", "accelerator"}


FILES = sorted((RECIPES / "ci-infonce").glob("*.yaml"))
CLUSTERED = [file for file in FILES if build(file=file).method == "ci-infonce-batch"]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_baseline_has_the_budget_of_ours_on_its_data(file: Path) -> None:
    """Data, views, encoder, length, optimiser and probe are those of a run of ours."""
    shared = {"data", "encoder", "epochs", "batch_size", "schedule", "evaluation", "precision"}

    def budget(path: Path) -> str:
        plain = build(file=path).plain()
        views = {k: v for k, v in plain["views"].items() if k not in ("count", "small_count")}
        return json.dumps([{k: plain[k] for k in sorted(shared)}, views], sort_keys=True)

    made = ("labels", "instance")
    ours = {budget(one) for one in CLUSTERED if build(file=one).positives.name not in made}
    assert budget(file) in ours


def test_every_number_of_a_paper_has_a_recipe_that_is_listed() -> None:
    listed = {recipe for experiment in EXPERIMENTS.values() for recipe in experiment.recipes}
    assert set(TOP1) <= listed
    for data in ("ut-zappos50k", "wider", "cub200"):
        recipes = EXPERIMENTS["ci-infonce/table1"].recipes
        rows = {recipe.removeprefix(f"ci-infonce/{data}-") for recipe in recipes}
        assert {"ce-labels", "supcon", "ce-attributes", "attributes", "moco", "simclr"} <= rows


@pytest.mark.parametrize("file", CLUSTERED, ids=lambda f: f.stem)
def test_a_recipe_of_the_paper_is_a_desk_cell_on_other_data(file: Path) -> None:
    full = build(file=file)
    z = full.positives.model_dump()
    cell = ci_infonce.ci_infonce("x", {"source": "shapes"}, z)
    small = build(None, desk.settings(cell, 0)["recipe"])
    ours, own = full.plain(), small.plain()
    different = {key for key in ours if ours[key] != own[key] and key not in MAY_DIFFER}
    assert different <= {"views", "objective"}
    assert full.evaluation.protocols[0] == "ci-infonce"
    assert full.objective.name == small.objective.name
    assert full.views.crop_scale == small.views.crop_scale
    # the paper's numbers, from its appendix C and its code
    assert str(full.encoder) == "resnet50"
    assert full.optimizer.momentum == 0.95
    assert full.optimizer.weight_decay == 1e-4
    assert full.head.projector == [2048, 128]
    rates = {"ut-zappos50k-attributes": 0.17, "imagenet100-kmeans": 0.03, "wider-kmeans": 0.1}
    if file.stem in rates:
        used = full.optimizer.lr * full.batch_size / 256
        assert used == pytest.approx(rates[file.stem])
