"""What ``import viewfinder`` offers: names, the commands as functions, the loaded encoder."""

from __future__ import annotations

import ast
import json
import pickle
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from inspect import isclass, isfunction, signature
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

import viewfinder as vf
from viewfinder import objectives
from viewfinder.core.errors import UserError
from viewfinder.core.extras import APP
from viewfinder.core.table import _TABLES, Table
from viewfinder.data.domain import Domain
from viewfinder.evaluation import probes
from viewfinder.recipes.recipe import build, parse_overrides
from viewfinder.runs.model import Model
from viewfinder.runs.results import read_results
from viewfinder.runs.run import Run

ROOT = Path(vf.__file__).parents[1]
SMALL: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 8,
    "accelerator": "cpu",
    "logger": "none",
    "encoder": {"widths": [8, 16]},
    "evaluation": {"protocols": ["knn"], "baselines": False},
}
WITHOUT = f"""
import sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        missing = name.split(".")[0] in {sorted(APP)}
        return None if missing else super().find_spec(name, path, target)
sys.meta_path = [Without if one is PathFinder else one for one in sys.meta_path]
import viewfinder as vf
"""
"""The start of a program on a machine without the extra ``app``."""


def python(code: str) -> str:
    """What a program prints in a process of its own; an exception fails the test."""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_the_import_alone_imports_nothing_heavy() -> None:
    heavy = sorted({*APP, "torch", "numpy", "pydantic", "pydantic_core"})
    told = python(f"import viewfinder, sys; print({heavy} and set({heavy}) & sys.modules.keys())")
    assert told.strip() == "set()"


@pytest.mark.parametrize(
    ("name", "offers"),
    [
        *(("losses", "NTXent"), ("negatives", "Queue"), ("probes", "knn")),
        *(("register", "step"), ("regularizers", "RC"), ("views", "preset")),
    ],
)
def test_a_module_of_the_front_door_can_be_imported_by_its_name(name: str, offers: str) -> None:
    """Whichever way comes first, it is the same one."""
    ways = [f"import viewfinder as vf; a = vf.{name}", f"import viewfinder.{name} as a"]
    for first in ways:
        told = python(
            f"{first}\nimport viewfinder as vf, viewfinder.{name} as b\n"
            f"from viewfinder.{name} import {offers}\n"
            f"print(a is b is vf.{name}, {offers} is vf.{name}.{offers})"
        )
        assert told.split() == ["True", "True"]


def test_the_modules_of_the_front_door_offer_what_their_layers_do() -> None:
    for door, layer in ((vf.losses, objectives), (vf.probes, probes)):
        offered = {n: x for n, x in vars(layer).items() if n in door.__all__}
        assert offered == {n: getattr(door, n) for n in door.__all__}
    assert {*vf.losses.__all__} == {*objectives.__all__}


@pytest.mark.parametrize("name", vf._MODULES)
def test_what_a_module_of_the_front_door_shows_is_what_it_offers(name: str) -> None:
    """No file of the house among it: each is a class, a function or a table."""
    door = getattr(vf, name)
    assert dir(door) == sorted(door.__all__)
    for shown in dir(door):
        assert not isinstance(getattr(door, shown), ModuleType), shown


@pytest.mark.parametrize("name", vf.losses.OBJECTIVES)
def test_every_objective_has_its_function_among_the_losses(name: str) -> None:
    """Of its own name, where there is one: the file of the same name is not in its place."""
    row = vf.losses.OBJECTIVES[name]
    every = [getattr(vf.losses, shown) for shown in dir(vf.losses)]
    home = row.compute.__module__
    own = [x for x in every if isfunction(x) and x.__module__ == home]
    assert own
    for door in (vf.losses, objectives):
        assert getattr(door, name.replace("-", "_"), own[0]) in own


IMAGES = torch.zeros(2, 3, 40, 40, dtype=torch.uint8)
REQUIRED = {"dim": 8, "prototypes": 4, "outputs": 4, "channels": 3, "size": 16, "n": 9, "draws": 5}
"""What a module must be given."""
OF_RECIPES = ("objective.", "negatives.", "regularizers.", "views.", "data.", "recipe")
ARGUMENTS = [
    (module, name)
    for door in (vf.losses, vf.negatives, vf.regularizers)
    for module in (getattr(door, shown) for shown in dir(door))
    if isclass(module) and issubclass(module, nn.Module)
    for name, argument in signature(module).parameters.items()
    # any are right of switches, seeds and functions; a base class checks nothing
    if not isinstance(argument.default, bool)
    and name not in ("seed", "choose", "options", "spec")
    and module is not vf.regularizers.Regularization
]


@pytest.mark.parametrize(
    ("module", "name"), ARGUMENTS, ids=lambda x: x if isinstance(x, str) else x.__name__
)
def test_what_is_wrong_with_a_module_is_said_by_its_argument(module: Any, name: str) -> None:
    required = {
        key: REQUIRED[key]
        for key, argument in signature(module).parameters.items()
        if argument.default is argument.empty
    }
    module(**required)
    for wrong in (-7, "wrong", float("nan")):
        with pytest.raises(UserError) as met:
            module(**{**required, name: wrong})
        assert str(met.value).startswith(f"{name} is {wrong!r}")
        assert not [key for key in OF_RECIPES if key in str(met.value)]


OPTIONS_OF_LOOPS: dict[str, Callable[[], Any]] = {
    "the size of a preset": lambda: vf.views.preset("simclr", 2),
    "the channels of a step": lambda: vf.views.preset("simclr", 32, channels=5),
    "a step without a probability": lambda: vf.views.compose(["lab"], 32, channels=4),
    "the kernel of a blur": lambda: vf.views.compose([{"blur": {"kernel": 99}}], 32),
    "a split of other data": lambda: vf.views.compose(
        [], domain=Domain("points", (2,)), split={"channels": 1}
    ),
    "a step of other data": lambda: vf.views.compose(["flip"], domain=Domain("points", (2,))),
    "too many channels": lambda: vf.views.compose(["crop"], 32, split={"channels": 3}),
    "two lists of one draw": lambda: vf.views.compose(
        ["crop"], 32, second=["flip"], split={"channels": 1}
    ),
    "a patch of a grid": lambda: vf.views.compose(["crop"], 32, split={"grid": {"patch": 64}}),
    "a piece of a jigsaw": lambda: vf.views.compose(
        ["crop"], 32, split={"jigsaw": {"cell": 4, "piece": 9}}
    ),
    "the reach of patches": lambda: vf.views.compose(
        ["crop"], 32, split={"patches": {"offset": 9, "reach": 3}}
    ),
    "images for patches": lambda: vf.views.compose(["crop"], 32, split="patches")(IMAGES),
    "the mean of too many": lambda: vf.views.compose([{"normalise": {"mean": [0, 0]}}], 32),
    "draws of a bank": lambda: vf.negatives.Bank(9, 4, size=8, nearest=3),
}


@pytest.mark.parametrize("slip", OPTIONS_OF_LOOPS)
def test_no_key_of_a_recipe_is_named_to_a_loop_of_ones_own(slip: str) -> None:
    with pytest.raises(UserError) as met:
        OPTIONS_OF_LOOPS[slip]()
    told = str(met.value)
    assert not [key for key in (*OF_RECIPES, "@", "null") if key in told]


@pytest.mark.parametrize("table", _TABLES, ids=lambda table: table.kind)
def test_a_name_that_is_in_no_table_is_answered_with_the_nearest(table: Table[Any]) -> None:
    for name in table:
        wrong = f"{name}x"
        with pytest.raises(KeyError, match=f"unknown {table.kind} '{wrong}'. Did you mean ") as met:
            table[wrong]
        assert isinstance(met.value, UserError)
        assert str(met.value).startswith("unknown")  # not quoted, as a bare KeyError shows it
        assert wrong not in table
        assert table.get(wrong) is None
    assert 5 not in table


def test_every_name_is_there_and_known_to_type_checkers() -> None:
    assert {*vf.__all__} <= {*dir(vf)}
    assert all(getattr(vf, name) is not None for name in vf.__all__)
    tree = ast.parse(Path(vf.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    known = {alias.asname or alias.name for node in block.body for alias in node.names}  # type: ignore[attr-defined]
    assert known == {*vf.__all__}
    with pytest.raises(AttributeError, match="no attribute 'pretrian'"):
        _ = vf.pretrian  # type: ignore[attr-defined]


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "viewfinder" / "py.typed").exists()


def test_no_part_imports_the_front_door() -> None:
    door = [f"viewfinder.{name}" for name in ("api", "register", "losses", "probes")]
    for file in (ROOT / "viewfinder").rglob("*/*.py"):
        assert not [name for name in door if f"from {name}" in file.read_text()], file


# --- light installs


def test_the_extra_and_the_core_are_what_the_package_says() -> None:
    modules = {"pyyaml": "yaml", "pillow": "PIL", "scikit-learn": "sklearn", "faiss-cpu": "faiss"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = [word.partition(">")[0] for word in project["optional-dependencies"]["app"]]
    assert {modules.get(name, name) for name in extra} == APP
    assert [word.partition(">")[0] for word in project["dependencies"]] == [
        "torch",
        "numpy",
        "pydantic",
    ]


def test_losses_views_negatives_regularizers_and_probes_work_without_the_app() -> None:
    python(
        WITHOUT
        + """
import numpy as np, torch
z0, z1, index = torch.randn(8, 4), torch.randn(8, 4), torch.arange(8)
for loss in (vf.losses.NTXent(), vf.losses.BarlowTwins(), vf.losses.CARL(4, 3), vf.losses.Cosine()):
    loss(z0, z1)
vf.losses.SwAV(4, 3)([z0, z1])
vf.losses.SupCon()([z0, z1], index % 2)
queue, bank = vf.negatives.Queue(16, 4), vf.negatives.Bank(20, 4, nearest=3)
for one in (queue, bank):
    one.update(z1, index)
    vf.losses.InfoNCE()(z0, z1, one.propose(z0, index))
vf.regularizers.RC(4, 3, 8)([z0], [torch.rand(8, 3, 8, 8)])
vf.regularizers.LBE(4)([z0], [z1])
images = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
for name in vf.views.PRESETS:
    assert vf.views.preset(name, 32)(images)[0].shape == (4, 3, 32, 32)
vf.views.compose(["crop", "lab"], 16, split={"channels": 1})(images)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(60, 5)), np.arange(60) % 3
assert vf.probes.linear(x, y, x, y).n_test == vf.probes.knn(x, y, x, y, k=3).n_test == 60
assert vf.probes.ridge(x, x[:, 0], x, x[:, 0]).r2 > 0.9
assert vf.methods["simclr"].paper
a = rng.normal(size=(200, 2))
assert vf.mutual_information(a, a + rng.normal(size=(200, 2)), steps=2, seeds=1).high
@vf.register.step("negative")
class Negative(vf.views.Transform):
    "Dark becomes bright."
    def forward(self, x, drawn):
        return 1 - x
vf.views.compose(["negative"], 32)(images)
"""
    )


@pytest.mark.parametrize(
    "call",
    [
        'vf.recipe("simclr")',
        "vf.pretrain(epochs=1)",
        'vf.resume("run")',
        'vf.evaluate("run")',
        'vf.embed("run", "digits", "v.parquet")',
        'vf.load("run")',
        'vf.open_data("digits")',
    ],
)
def test_what_needs_the_app_says_so(call: str) -> None:
    told = python(
        f"{WITHOUT}\ntry: {call}\nexcept ValueError as error: print(type(error).__name__, error)"
    )
    assert told.startswith("UserError")
    assert 'Try: pip install "viewfinder[app]"' in told


def test_the_command_says_so_too() -> None:
    code = WITHOUT + "from viewfinder.commands.main import main\nmain()"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert made.returncode == 2
    assert 'pip install "viewfinder[app]"' in made.stderr


# --- recipes


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (
            ["epochs=20", "negatives.size=1024", "data=folder:photos"],
            {"epochs": 20, "negatives": {"size": 1024}, "data": "folder:photos"},
        ),
        (
            ["negatives=queue:64", "encoder=resnet18"],
            {"negatives": "queue:64", "encoder": "resnet18"},
        ),
        (
            ["views=byol", "views.crop_scale=[0.5,1]"],
            {"views": {"preset": "byol", "crop_scale": [0.5, 1]}},
        ),
        (["regularizers=rc+lbe", "head=[64,32]"], {"regularizers": "rc+lbe", "head": [64, 32]}),
        (["regularizers.rc=0.5"], {"regularizers": {"rc": 0.5}}),
    ],
)
def test_a_recipe_is_what_the_same_words_make(words: list[str], keys: dict[str, Any]) -> None:
    assert vf.recipe("moco", **keys) == build("moco", parse_overrides(words))


def test_keys_with_dots_and_nested_ones_are_laid_together() -> None:
    made = vf.recipe("moco", {"negatives.size": 64, "data.limit": 30}, negatives={"name": "queue"})
    assert (made.negatives.options().size, made.data.limit) == (64, 30)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"epochs": 2, "epoch": 3}, "unknown key epoch. Did you mean epochs=3?"),
        (
            {"negatives": {"sise": 3}},
            "negatives=queue has no option 'sise'; its own: size",
        ),
        ({"objective": "barlow-twin"}, "Did you mean 'barlow-twins'"),
        ({"objective": "barlow-twins"}, "objective=barlow-twins cannot use negatives=queue"),
        ({"epochs": "many"}, "epochs is 'many'"),
    ],
)
def test_mistakes_in_a_recipe_are_told(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as refused:
        vf.recipe("moco", **keys)
    assert says in str(refused.value)


# --- a run and its encoder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of many sizes, two formats, colour and grey, in two classes."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(24):
        (folder / "ab"[i % 2]).mkdir(exist_ok=True)
        size, shape = ((52, 40 + i), (3, 3, 3)) if i % 5 else ((40 + i, 44), (3, 3))
        image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).resize(size)
        image.save(folder / "ab"[i % 2] / f"{i}.{'png' if i % 3 else 'jpg'}")
    return folder


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    keys = {**SMALL, "data": {"source": f"folder:{photos}", "size": 36}, "views": {"size": 24}}
    return vf.pretrain("simclr", out=tmp_path_factory.mktemp("runs") / "photos", **keys)


def test_pretrain_is_the_command(run: Run) -> None:
    assert isinstance(run, Run)
    assert run.report.exists()
    assert run.recipe().views.size == 24


def test_a_finished_run_is_left_as_it_is(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*") if path.is_file()}
    assert vf.resume(str(run.folder)) == run
    after = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*") if path.is_file()}
    assert {path.name for path in after if after[path] != before.get(path)} <= {".lock"}
    assert "is finished: 1 epoch trained and scored" in capsys.readouterr().out


def test_a_run_that_lacks_a_score_gets_it_when_it_is_resumed(run: Run) -> None:
    whole = read_results(run.results_file)
    entries = json.loads(run.results_file.read_text())
    run.results_file.write_text(json.dumps(entries[:-1]))
    vf.resume(run)
    assert read_results(run.results_file) == whole


def test_a_recipe_made_before_takes_no_further_keys() -> None:
    with pytest.raises(UserError, match="takes no further keys"):
        vf.pretrain(vf.recipe("simclr"), epochs=3)


def test_evaluate_gives_scores_with_their_protocol(run: Run) -> None:
    (score,) = vf.evaluate(run, protocols="knn", overrides={"evaluation.k": 3})
    assert (score.features, score.protocol["k"]) == ("trained", 3)
    kinds = [one.features for one in vf.evaluate(run.folder, baselines=True)]
    assert kinds == ["trained", "untrained", "raw pixels"]


@pytest.mark.parametrize("batch_size", [5, 256])
def test_files_are_encoded_as_embed_encodes_them(
    run: Run, photos: Path, tmp_path: Path, batch_size: int
) -> None:
    assert vf.embed(run, f"folder:{photos}", tmp_path / "v.parquet") == 24
    table = pq.read_table(tmp_path / "v.parquet").to_pydict()
    z = vf.load(run).encode([photos / path for path in table["path"]], batch_size=batch_size)
    torch.testing.assert_close(z, torch.tensor(table["vector"]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("precision", ["32", "bf16-mixed", "16-mixed"])
def test_embeddings_are_float32_whatever_the_run_was_trained_in(
    run: Run, photos: Path, tmp_path: Path, precision: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "precision": precision}))
    vf.embed(folder, f"folder:{photos}", tmp_path / "v.parquet")
    vf.embed(run, f"folder:{photos}", tmp_path / "whole.parquet")
    table = pq.read_table(tmp_path / "v.parquet")
    assert table["vector"] == pq.read_table(tmp_path / "whole.parquet")["vector"]
    assert table.schema.metadata[b"precision"] == b"32"
    (score,) = vf.evaluate(folder, protocols="knn", overrides={"evaluation.k": 3})
    assert score.protocol["precision"] == precision


def test_arrays_and_tensors_are_encoded_as_a_source_of_arrays_is(run: Run, tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (6, 30, 44, 3), dtype=np.uint8)
    np.savez(tmp_path / "train.npz", images=images)
    vf.embed(run, f"npz:{tmp_path}", tmp_path / "v.parquet", overrides={"data.size": 36})
    table = pq.read_table(tmp_path / "v.parquet").to_pydict()
    expected = torch.empty(6, len(table["vector"][0]))
    expected[table["index"]] = torch.tensor(table["vector"])
    model = vf.load(run)
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    for given in (
        images,
        list(images),
        tensor,
        [*images[:2], *tensor[2:]],
        images[:, ::-1][:, ::-1],
    ):
        torch.testing.assert_close(model.encode(given), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.encode(images[0])[0], expected[0], atol=1e-5, rtol=0)
    mixed = [images[0], images[1][:20], images[2]]  # of several sizes: each in its place
    assert torch.equal(model.encode(mixed)[[0, 2]], model.encode(images[[0, 2]]))


def test_a_loaded_model_can_be_fine_tuned(run: Run) -> None:
    model = vf.load(run)
    images = torch.randint(0, 256, (8, 3, 40, 30), dtype=torch.uint8)
    before = {name: p.clone() for name, p in model.named_parameters()}
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(images).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    optimizer.step()
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters())
    state = {name: x.clone() for name, x in model.state_dict().items()}
    assert not model.encode(images).requires_grad
    assert model.training
    for name, x in model.state_dict().items():  # what is encoded leaves nothing behind
        assert torch.equal(x, state[name])


def test_a_model_is_a_module(run: Run) -> None:
    model = vf.load(run)
    assert isinstance(model, Model)
    assert not model.training
    images = torch.randint(0, 256, (5, 3, 40, 30), dtype=torch.uint8)
    assert model(images).shape == (5, model.dim) == (5, 16)
    grey = images[:, :1]
    assert torch.equal(model(grey), model(grey.expand(-1, 3, -1, -1)))
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(again(images), model(images))
    assert again.recipe == model.recipe == run.recipe()
    model.requires_grad_(True)
    model(images).sum().backward()
    assert all(p.grad is not None for p in model.encoder.parameters())
    assert not model.encode(images).requires_grad
    model.train()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    model.encode(images)
    assert model.training
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


def test_several_networks_stand_side_by_side(photos: Path, tmp_path: Path) -> None:
    keys = {**SMALL, "data": f"folder:{photos}", "views": {"size": 24}}
    model = vf.load(vf.pretrain("cmc", out=tmp_path / "cmc", negatives={"size": 8}, **keys))
    images = torch.randint(0, 256, (3, 3, 40, 30), dtype=torch.uint8)
    seen = model.views.frozen(images)
    parts = [model.encoder[name](view) for name, view in seen.items()]  # type: ignore[index]
    assert [part.shape[1] for part in parts] == [16, 16]
    assert torch.equal(model(images), torch.cat(parts, 1))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (torch.rand(2, 3, 8, 8), "uint8 (N, C, H, W) are expected. Try: (255 * images).round()"),
        (torch.zeros(8, 8, dtype=torch.uint8), "uint8 (N, C, H, W) are expected"),
        (torch.zeros(2, 4, 8, 8, dtype=torch.uint8), "4 channels"),
        (np.zeros((8, 8, 3)), "torch.float64 of shape (1, 3, 8, 8)"),
        (["no.png"], "no.png is unreadable: there is no such file"),
    ],
    ids=["floats", "no channels", "four channels", "float array", "missing file"],
)
def test_what_cannot_be_encoded_is_refused(run: Run, given: Any, says: str) -> None:
    model = vf.load(run)
    with pytest.raises(UserError) as refused:
        model.encode(given)
    assert says in str(refused.value)
    if isinstance(given, Tensor) and given.ndim == 4:
        with pytest.raises(UserError, match=r"expected|channels"):
            model(given)


def test_a_damaged_image_is_named(run: Run, photos: Path, tmp_path: Path) -> None:
    whole = next(photos.rglob("*.png")).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut\.png is unreadable: truncated or damaged"):
        vf.load(run).encode([*photos.rglob("*.jpg"), tmp_path / "cut.png"])


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        vf.load(tmp_path)


def test_open_data_opens_what_data_names(photos: Path) -> None:
    source = vf.open_data(f"folder:{photos}", size=20, channels=1)
    assert source.train.data.shape == (1, 20, 20)
    assert source.train.class_names == ["a", "b"]


# --- pickling


def _losses() -> list[nn.Module]:
    learned = nn.Parameter(torch.tensor(0.3))
    made = vf.losses
    return [
        made.NTXent(learned),
        made.InfoNCE(),
        made.SupCon(),
        made.CIInfoNCE(),
        made.BarlowTwins(),
        made.VICReg(),
        made.Cosine(),
        made.NCE(),
        made.CARL(4, 3),
        made.SwAV(4, 3, queue=8),
        made.DINO(4),
        vf.regularizers.RC(4, 3, 8),
        vf.regularizers.LBE(4),
        vf.regularizers.IP(),
    ]


def _others() -> list[nn.Module]:
    makers: list[nn.Module] = [vf.views.preset(name, 32) for name in vf.views.PRESETS]
    makers.append(vf.views.compose(["crop", "lab"], 16, split={"channels": 1}))
    makers.append(vf.views.compose(["crop"], 16, split={"draws": {"count": 2, "small_count": 2}}))
    return [*makers, vf.negatives.Negatives(), vf.negatives.Queue(8, 4), vf.negatives.Bank(9, 4)]


@pytest.mark.parametrize("module", [*_losses(), *_others()], ids=lambda m: type(m).__name__)
def test_modules_pickle(module: nn.Module) -> None:
    again = pickle.loads(pickle.dumps(module))
    assert type(again) is type(module)
    assert repr(again) == repr(module)
    state = again.state_dict()
    assert state.keys() == module.state_dict().keys()
    assert all(torch.equal(x, state[name]) for name, x in module.state_dict().items())
    images = torch.randint(0, 256, (3, 3, 20, 20), dtype=torch.uint8)
    if isinstance(module, vf.views.ViewMaker):
        pair = [one(images, torch.Generator().manual_seed(1)) for one in (module, again)]
        assert all(torch.equal(x, y) for x, y in zip(*pair, strict=True))


@pytest.mark.parametrize("side", [8, 24, 32])
@pytest.mark.parametrize("several", [True, False])
def test_channels_in_the_wrong_place_are_refused_with_the_way_out(
    run: Run, side: int, several: bool
) -> None:
    model = vf.load(run)
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    right = torch.from_numpy(images).permute(0, 3, 1, 2)
    want = model.encode(right)
    assert torch.equal(model.encode(images), want)
    wrong = [torch.from_numpy(images), images.transpose(0, 3, 1, 2)]
    for given, fix in zip(wrong, ["permute(0, 3, 1, 2)", "transpose(0, 2, 3, 1)"], strict=True):
        with pytest.raises(UserError, match="looks like") as refused:
            model.encode(given if several else given[0])
        assert fix in str(refused.value)
    with pytest.raises(UserError, match="looks like"):
        model(wrong[0])
