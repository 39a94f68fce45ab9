"""Transfer: tables over sets and seeds, one encoding a set and a split, and the command itself."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

from viewfinder.commands.main import main
from viewfinder.commands.transfer import _method
from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.scores import RegressionScore, Score
from viewfinder.evaluation.tasks.transfer import open_sets, parse_sets, transfer_scores
from viewfinder.evaluation.tasks.transfer_table import Entry, row_names, short_names, tables
from viewfinder.recipes.recipe import Recipe, build, complete
from viewfinder.report.gather import gather
from viewfinder.report.sections import score_groups
from viewfinder.runs.results import read_results

SMALL = ["data=shapes", "data.limit=80", "data.size=16", "epochs=1", "batch_size=16"]
SMALL += ["logger=none", "encoder.widths=[4,8]", "accelerator=cpu", "evaluation.baselines=false"]


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["viewfinder", *words])
    monkeypatch.delenv("VIEWFINDER_RUN", raising=False)
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of one method."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        for seed in (0, 1):
            out = ["--out", str(root / f"seed{seed}")]
            assert command(patch, "pretrain", "simclr", *SMALL, f"seed={seed}", *out) == 0
    return [root / "seed0", root / "seed1"]


def test_two_seeds_over_three_sets(
    trained: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    runs = [shutil.copytree(run, tmp_path / run.name) for run in trained]
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(40) % 2
    images[labels == 1] //= 4
    np.savez(tmp_path / "dark.npz", images=images, labels=labels, level=images.mean((1, 2, 3)))
    spec = f"npz:{tmp_path / 'dark.npz'}"
    words = [*map(str, runs), "--protocol", "transfer", "--protocol", "knn", "--data", "digits"]
    more = [f"{spec}#level", spec, "shapes#position", "data.limit=60", "evaluation.k=3"]
    assert command(monkeypatch, "evaluate", *words, *more) == 0
    shown = capsys.readouterr().out
    assert "the grey channel was repeated three times" in shown

    found = [read_results(run / "results.json") for run in runs]
    for scores in found:
        knn = [s for s in scores if s.protocol["protocol"] == "knn"]
        ridge = [s for s in scores if isinstance(s, RegressionScore)]
        assert {(s.features, s.protocol["data"]) for s in ridge} == {
            (kind, data)
            for kind in ("trained", "untrained", "raw pixels")
            for data in ("shapes#position", f"{spec}#level")
        }
        kinds = {(s.features, s.protocol["data"]) for s in knn if s.protocol["k"] == 3}
        sets = ("shapes", "digits", spec)
        assert kinds == {(k, d) for k in ("trained", "untrained", "raw pixels") for d in sets}
        for score in ridge:
            assert {"layer", "split", "selection", "seed", "penalty"} <= score.protocol.keys()
    # the level of an image is linear in its pixels
    pixels = [
        s
        for s in found[0]
        if isinstance(s, RegressionScore)
        and s.features == "raw pixels"
        and s.protocol["data"] == f"{spec}#level"
    ]
    assert pixels[0].r2 > 0.9
    units = {s.unit for s in found[0] if isinstance(s, RegressionScore)}
    assert units == {"", "px"}
    # the table states mean ± standard deviation over the two runs
    values = [
        100 * s.top1
        for scores in found
        for s in scores
        if isinstance(s, Score) and (s.features, s.protocol["data"]) == ("trained", "digits")
    ]
    cell = f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
    row = next(line for line in shown.splitlines() if line.startswith("│ simclr"))
    assert cell in row
    header = next(line for line in shown.splitlines() if line.startswith("┃ features"))
    assert header.index("shapes") < header.index("digits")  # the source comes first
    for run in runs:
        with Image.open(run / "transfer.png") as picture:
            assert picture.format == "PNG"
        page = (run / "report.html").read_text()
        assert "Transfer" in page and "shapes#position" in page


def test_scores_of_fewer_images_do_not_stand_beside_the_runs_own(
    trained: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lead over raw pixels is that of equal images: it does not change."""
    run = shutil.copytree(trained[0], tmp_path / "run")
    words = ["evaluate", str(run), "--protocol", "linear"]
    assert command(monkeypatch, *words, "--baselines") == 0
    summary, own = gather(run).summary, score_groups(gather(run))[0]
    assert "by raw pixels" in summary
    assert command(monkeypatch, *words, "--protocol", "transfer", "data.limit=40") == 0
    found = score_groups(gather(run))
    assert gather(run).summary == summary
    assert found[0]["bars"] == own["bars"]
    (limited,) = [group for group in found if "limited to 40 each" in group["facts"]]
    assert limited["transfer"]
    assert [bar["features"] for bar in limited["bars"]] == ["trained", "untrained", "raw pixels"]
    assert limited["bars"] != own["bars"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--protocol", "transfer", "--data", "dtd-split1:/nowhere"], "robots.ox.ac.uk"),
        (["--protocol", "transfer", "--data", "shapes#weight"], "unknown factor of shapes"),
        (["--protocol", "transfer", "--data", "shapes#"], "SPEC#FACTOR"),
        (["--protocol", "transfer", "--data", "npz:/nowhere"], "there is no file or folder"),
        (["--protocol", "transfer", "--protocol", "infolc"], "Did you mean 'infocl'"),
        (["--protocol", "transfer", "data.source=digits"], "--data digits"),
        (["--data", "digits", "shapes"], "--protocol transfer"),
        (["--data", "shapes#position"], "--protocol transfer"),
        (["/nowhere", "--protocol", "transfer"], "not a run"),
        (["--protocol", "transfer", "--data", "digits", "shpaes"], "Did you mean 'shapes'"),
        (["runs/b", "--protocol", "transfer", "--data", "digits"], "runs/b is not a run"),
        (["/nowhere"], "2 runs are measured together by transfer"),
    ],
)
def test_mistakes(
    trained: list[Path],
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(monkeypatch, "evaluate", str(trained[0]), *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("viewfinder: ") and message in error
    assert "Traceback" not in error


def test_channels_constants_and_missing_labels_are_refused_before_anything_is_measured(
    trained: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = (trained[0] / "results.json").read_bytes()
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 4), dtype=np.uint8)
    np.savez(tmp_path / "four.npz", images=images, labels=np.arange(20) % 2)
    np.savez(tmp_path / "plain.npz", images=images[..., :3], still=np.ones(20))
    for data, message in (
        ("four.npz", "4 channels and data.channels is 3"),
        ("plain.npz", "has no labels"),
        ("plain.npz#still", "is 1 in all 16 images"),
    ):
        words = ["--protocol", "transfer", "--data", "digits", f"npz:{tmp_path / data}"]
        assert command(monkeypatch, "evaluate", str(trained[0]), *words) == 2
        assert message in capsys.readouterr().err
    assert (trained[0] / "results.json").read_bytes() == before


def test_a_set_that_cannot_be_scored_does_not_cost_the_others(
    trained: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = shutil.copytree(trained[0], tmp_path / "run")
    images = np.zeros((6, 16, 16, 3), np.uint8)
    folder = tmp_path / "odd"
    folder.mkdir()
    np.savez(folder / "train.npz", images=images, labels=np.arange(6) % 2)
    np.savez(folder / "test.npz", images=images, labels=np.arange(6) % 3)
    words = ["--protocol", "transfer", "--protocol", "knn", "--no-baselines"]
    assert command(monkeypatch, "evaluate", str(run), *words, "--data", f"npz:{folder}") == 0
    shown = capsys.readouterr().out
    assert "were not scored: 1 classes are in test but not in train" in shown
    assert "│ simclr" in shown


class Counting(nn.Module):
    """An encoder that counts the images it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return x.mean((2, 3))


@pytest.fixture
def recipe() -> Recipe:
    small = {"views": {"size": 16}, "encoder": {"widths": [4]}, "accelerator": "cpu"}
    return complete(build("simclr", small), (3, 16, 16))


def test_every_split_is_encoded_once_whatever_is_read_from_it(
    recipe: Recipe, tmp_path: Path
) -> None:
    words = ["shapes", "shapes#position,texture", "digits", "shapes#rotation"]
    sets = open_sets(words, recipe, {"data": {"limit": 40, "size": 16}})
    assert [s.targets for s in sets] == [(None, "position", "texture", "rotation"), (None,)]
    encoder = Counting()
    images = 40 + 40 + 32 + 8
    options = {"protocols": ["linear", "knn", "infocl"], "kinds": ["trained"]}
    first = transfer_scores(encoder, recipe, sets, cache=tmp_path, **options)  # type: ignore[arg-type]
    assert encoder.seen == images
    # 3 probes of 3 targets of classes, and 2 quantities
    assert len(first) == 3 * 3 + 2
    again = transfer_scores(encoder, recipe, sets, cache=tmp_path, **options)  # type: ignore[arg-type]
    assert (encoder.seen, again) == (images, first)  # kept
    transfer_scores(encoder, recipe, sets, **options)  # type: ignore[arg-type]
    assert encoder.seen == 2 * images


def test_baselines_that_are_the_same_are_measured_once(recipe: Recipe) -> None:
    sets = open_sets(["digits"], recipe, {"data": {"limit": 40}})
    memory: dict[str, list[Score | RegressionScore]] = {}
    first = transfer_scores(Counting(), recipe, sets, protocols=["knn"], memory=memory)
    second = transfer_scores(Counting(), recipe, sets, protocols=["knn"], memory=memory)
    assert len(memory) == 2
    assert [s.features for s in second] == ["trained", "untrained", "raw pixels"]
    assert second[1] is first[1] and second[2] is first[2]
    other = recipe.model_copy(update={"seed": 1})  # which a probe may draw by
    transfer_scores(Counting(), other, sets, protocols=["knn"], memory=memory)
    assert len(memory) == 4
    with pytest.raises(UserError, match="unknown features 'mine'"):
        transfer_scores(Counting(), recipe, sets, kinds=["mine"])


def test_a_score_is_that_of_scikit_learn_on_the_same_features(recipe: Recipe) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    (digits,) = open_sets(["digits"], recipe, {"data": {"limit": 100}})
    one = recipe.evaluation.model_copy(update={"k": 1})
    (score,) = transfer_scores(
        Counting(),
        recipe.model_copy(update={"evaluation": one}),
        [digits],
        protocols=["knn"],
        kinds=["raw pixels"],
    )
    parts = [digits.source.splits[name] for name in ("train", "test")]
    x, y = (p.data.read(np.arange(len(p))).flatten(1).float().numpy() for p in parts)
    theirs = KNeighborsClassifier(1, metric="cosine").fit(x, parts[0].labels)
    assert isinstance(score, Score)
    assert score.top1 == pytest.approx(theirs.score(y, parts[1].labels))


def test_parsing_of_sets() -> None:
    found = parse_sets(["a#x,y", "a", "b", "a#x", "c#d#e"])
    assert found == {"a": ("x", "y", None), "b": (None,), "c#d": ("e",)}
    for wrong in ("#x", "a#", "a#x,,y"):
        with pytest.raises(UserError, match="SPEC#FACTOR"):
            parse_sets([wrong])


def scored(data: str, top1: float) -> Score:
    protocol = {"protocol": "linear", "data": data}
    return Score(top1=top1, top5=None, per_class={}, n_test=5, protocol=protocol)  # type: ignore[arg-type]


def test_tables_have_means_and_sample_deviations() -> None:
    values = [0.5, 0.6, 0.8]
    entries = [Entry("pixels", "", False, scored("a", 0.25))] * 2
    entries += [Entry("m", str(i), True, scored("a", v), i) for i, v in enumerate(values)]
    entries += [Entry("m", "0", True, scored("npz:x/b", 1.0))]
    (table,) = tables(entries)
    assert list(table.values) == ["m", "pixels"]  # trained encoders first
    assert [c.label for c in table.columns] == ["a", "b"]
    a = table.columns[0]
    assert a.text(table.values["m"]["a"]) == "63.33 ± 15.28"  # numpy: std([50, 60, 80], ddof=1)
    assert table.values["pixels"] == {"a": [0.25]}
    console = Console(width=30, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    table.show(console)
    text = console.export_text()
    assert text.count("features") == 3  # the title, and one table below the other
    assert all(len(line) <= 30 for line in text.splitlines())


def test_names_of_sets_and_rows() -> None:
    assert short_names(["npz:a/mnist", "npz:b/mnist", "npz:c/x#f", "mnist"]) == {
        "npz:a/mnist": "npz:a/mnist",
        "npz:b/mnist": "npz:b/mnist",
        "npz:c/x#f": "x#f",
        "mnist": "mnist",
    }
    same = {"method": "m", "part": {"lr": 1}}
    assert row_names({"a": same, "b": dict(same)}) == {"a": "m", "b": "m"}
    other = {"method": "m", "part": {"lr": 2}}
    found = row_names({"a": same, "b": other, "c": {"method": "n", "part": {"lr": 3}}})
    assert found == {"a": "m part.lr=1", "b": "m part.lr=2", "c": "n"}
    many = {"method": "m", "part": {"lr": 2, "x": 1, "y": 2}}
    assert row_names({"a": same, "b": many}) == {"a": "m (a)", "b": "m (b)"}


def test_rows_are_told_apart_by_their_regularizers(recipe: Recipe) -> None:
    words = {"a": {}, "b": {"rc": 1}, "c": {"rc": 1}, "d": {"lbe": {"weight": 0.1, "rho": 0.3}}}
    methods = {}
    for seed, (folder, own) in enumerate(words.items()):
        one = build("simclr", {"regularizers": own, "seed": seed})
        methods[folder] = _method(complete(one, (3, 16, 16)))
    assert row_names(methods) == {
        "a": "simclr",
        "b": "simclr + rc 1",
        "c": "simclr + rc 1",
        "d": "simclr + lbe 0.1 (rho 0.3)",
    }


def test_a_run_whose_own_data_are_gone_is_scored_on_others(
    trained: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = shutil.copytree(trained[0], tmp_path / "run")
    text = (run / "recipe.yaml").read_text()
    assert "source: shapes" in text
    (run / "recipe.yaml").write_text(text.replace("source: shapes", "source: npz:/gone"))
    words = ["--protocol", "transfer", "--protocol", "knn", "--no-baselines", "data.limit=60"]
    assert command(monkeypatch, "evaluate", "--data", "digits", str(run), *words) == 0
    shown = capsys.readouterr().out
    assert "npz:/gone, the runs' own data, is not scored: the run" in shown
    assert "was trained with /gone, and there is nothing there" in shown
    assert "digits" in shown
    assert command(monkeypatch, "evaluate", str(run), *words) == 2
    assert command(monkeypatch, "evaluate", "digits", "--data", "shapes", *words) == 2
    assert "no run is named: digits" in capsys.readouterr().err


def test_results_of_both_kinds_are_read_back(tmp_path: Path) -> None:
    protocol = {"protocol": "ridge", "data": "d"}
    one = RegressionScore(r2=-0.5, error=2.0, unit="px", n_test=3, protocol=protocol)  # type: ignore[arg-type]
    file = tmp_path / "results.json"
    file.write_text(json.dumps([scored("a", 0.5).model_dump(), one.model_dump()]))
    assert read_results(file) == [scored("a", 0.5), one]
