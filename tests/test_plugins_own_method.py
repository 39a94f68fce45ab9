"""The templates of docs/own-method.md: each is a whole file that works as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import viewfinder as vf
from viewfinder.core.errors import UserError
from viewfinder.core.table import _TABLES
from viewfinder.runs.run import Run

PAGE = (Path(__file__).parents[1] / "docs" / "own-method.md").read_text()
FILES = {
    re.match(r"# (\w+)\.py", block)[1]: block  # type: ignore[index]
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
}
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.splitlines()
    if line.startswith("viewfinder pretrain") and "plugins=" in line
]
SMALL = {
    "data": "digits",
    "data.limit": "60",
    "epochs": "2",
    "batch_size": "16",
    "encoder.widths": "[8,16]",
    "accelerator": "cpu",
    "logger": "none",
    "evaluation.baselines": "false",
    "evaluation.protocols": "[knn]",
    "negatives.k": "8",
    "negatives.size": "64",
    "positives.bins": "3",
}

pytestmark = pytest.mark.usefixtures("own_rows")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the page in the current folder."""
    for name, block in FILES.items():
        (tmp_path / f"{name}.py").write_text(block)
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Run:
    from viewfinder.recipes.recipe import parse_overrides

    return vf.pretrain(words[0], parse_overrides(words[1:]), out=Path("run"))


def test_there_is_a_template_for_each_table() -> None:
    used = set(re.findall(r"@vf\.register\.(\w+)", PAGE))
    parts = {"step", "split", "positives", "negatives", "objective", "regularizer", "encoder"}
    assert used == {*parts, "source", "probe", "method"}
    assert all(any(f"plugins={name}" in line for line in COMMANDS) for name in FILES)
    assert max(len(block.splitlines()) for block in FILES.values()) < 36


def test_the_hardest_negatives_take_at_most_28_lines() -> None:
    own = FILES["my_rows"].partition("\n\n\n@vf.register.method")[0]
    assert len(own.splitlines()) <= 28


@pytest.mark.parametrize("command", COMMANDS)
def test_a_template_trains(command: str) -> None:
    words = shlex.split(command)[2:]
    given = {word.partition("=")[0] for word in words[1:]}
    own = " ".join(words)
    small = {key: value for key, value in SMALL.items() if key not in given}
    if "moco" not in own:
        small = {key: value for key, value in small.items() if "negatives" not in key}
    if "positives=" not in own:
        del small["positives.bins"]
    if "encoder=" in own:
        del small["encoder.widths"]
    made = run(*words, *(f"{key}={value}" for key, value in small.items()))
    recipe = made.recipe()
    assert recipe.plugins == [word[8:] for word in words if word.startswith("plugins=")]
    assert len(made.metrics_file.read_text().splitlines()) > 2
    assert vf.load(made).dim > 0
    for word in words[1:]:  # what was chosen is what ran
        part, _, name = word.partition("=")
        if part in recipe.choices():
            assert recipe.choices()[part].name == name


def test_own_rows_stand_in_their_tables_as_declared() -> None:
    from viewfinder.core import plugins

    before = {one.kind: set(one) for one in _TABLES}
    plugins.load(FILES)
    new = {one.kind: set(one) - before[one.kind] for one in _TABLES}
    assert {kind: names for kind, names in new.items() if names} == {
        "step": {"fade"},
        "split": {"halves"},
        "positives": {"brightness"},
        "negatives": {"hardest"},
        "objective": {"alignment"},
        "regularizer": {"spread"},
        "encoder": {"patches"},
        "data source": {"sides"},
        "protocol": {"mean"},
        "method": {"hard-moco"},
    }
    hardest = vf.negatives.NEGATIVES["hardest"]
    assert (hardest.summary, hardest.paper) == ("The k most similar keys of the queue", "mine")
    assert hardest.needs_momentum
    assert vf.recipe("hard-moco").negatives.options().k == 64


def test_the_hardest_negatives_are_the_most_similar_keys_of_other_images() -> None:
    import torch

    from viewfinder.core import plugins
    from viewfinder.data.domain import Domain, Spec

    plugins.load(["my_rows"])
    row = vf.negatives.NEGATIVES["hardest"]
    queue = row.build(row.options(size=9, k=2), Spec(Domain("images", (3, 8, 8)), dim=4))
    cosine = torch.tensor([0.9, 0.1, 0.8, -0.5])
    keys = torch.stack([cosine, (1 - cosine**2).sqrt(), 0 * cosine, 0 * cosine], dim=1)
    queue.update(torch.tensor([[1.0], [50.0], [2.0], [3.0]]) * keys, torch.arange(4))
    query = torch.eye(4)[[0, 0]]
    contrast = queue.propose(query, torch.tensor([10, 0]))  # of another image, and of that of key 0
    assert contrast.rows is not None
    assert contrast.rows.tolist() == [[0, 2], [2, 1]]  # neither the longest, nor the empty
    loss = vf.losses.InfoNCE()(query, query, contrast)
    one = vf.losses.InfoNCE()(query[:1], query[:1], keys[[0, 2]])
    other = vf.losses.InfoNCE()(query[:1], query[:1], keys[[2, 1]])
    assert loss.item() == pytest.approx((one + other).item() / 2)


@pytest.mark.parametrize("k", [8, 12])
def test_more_hardest_negatives_than_there_are_keys_are_all_of_them(k: int) -> None:
    import torch

    from viewfinder.core import plugins
    from viewfinder.data.domain import Domain, Spec

    plugins.load(["my_rows"])
    row = vf.negatives.NEGATIVES["hardest"]
    queue = row.build(row.options(size=9, k=k), Spec(Domain("images", (3, 8, 8)), dim=4))
    queue.update(torch.eye(4), torch.arange(4))
    rows = queue.propose(torch.eye(4), torch.arange(4)).rows
    assert [{*row.tolist()} - {-1} for row in rows] == [{0, 1, 2, 3} - {i} for i in range(4)]


def test_the_documentation_of_keys_has_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from viewfinder.core import plugins

    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "docs"))
    import generate

    plugins.load(FILES)
    page = generate.recipe_page()
    for words in ("`negatives=hardest`", "`negatives.k`", "`fade`", "`views.split=halves`",
                  "`positives=brightness`", "`objective=alignment`", "`regularizers=spread`",
                  "`encoder=patches`"):  # fmt: skip
        assert words in page


def test_a_run_with_own_rows_needs_them_named(capsys: pytest.CaptureFixture[str]) -> None:
    from viewfinder.core import plugins

    small = {key: value for key, value in SMALL.items() if "positives" not in key}
    made = run("moco", "plugins=my_rows", "negatives=hardest", *map("=".join, small.items()))
    plugins._loaded.clear()  # as a new process
    for call in (vf.load, vf.resume, vf.evaluate):
        with pytest.raises(UserError, match=r"plugins=\[my_rows\], and my_rows is not loaded"):
            call(made)
        call(made, plugins="my_rows")  # type: ignore[operator]
        plugins._loaded.clear()


# --- what registering refuses, and what it replaces


def test_a_class_that_is_defined_again_takes_its_own_place() -> None:
    def define() -> type[vf.views.Transform]:
        @vf.register.step("again")
        class Again(vf.views.Transform):
            """It."""

        return Again

    define()
    latest = define()
    assert vf.views.STEPS["again"].build is latest
    with pytest.raises(UserError, match="there is already a step called 'again'"):

        @vf.register.step("again")
        class Other(vf.views.Transform):
            """Another."""


def test_a_name_of_the_library_is_not_taken() -> None:
    with pytest.raises(UserError, match="already a negatives called 'queue'"):

        @vf.register.negatives("queue")
        class Mine(vf.Negatives):
            """Mine."""


@pytest.mark.parametrize(
    ("facts", "text", "says"),
    [
        ({}, None, "has no docstring"),
        ({"bare": "sise"}, "It.", "unknown option of step mine 'sise'. Did you mean 'size'?"),
        (
            {"options": dict},
            "It.",
            "its options are <class 'dict'>; a class derived from Options is expected",
        ),
    ],
)
def test_mistakes_are_told(facts: dict[str, Any], text: str | None, says: str) -> None:
    class Options(vf.Options):
        size: int = 3

    made = type("Mine", (vf.views.Transform,), {"__doc__": text, "Options": Options})
    with pytest.raises(UserError) as refused:
        vf.register.step("mine", **facts)(made)
    assert says in str(refused.value)
    assert "mine" not in vf.views.STEPS


def test_any_spelling_of_a_name_is_one_name() -> None:
    @vf.register.step("my-step")
    class Mine(vf.views.Transform):
        """Mine."""

    assert vf.views.STEPS["My_Step"].build is Mine
