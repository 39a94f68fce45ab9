"""What every row of positives must do; a row joins by being in the table."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from known_images import LACKING, given, options_of, split, without

from viewfinder.core.errors import UserError
from viewfinder.positives.contract import Given, Positives, RefreshedOptions
from viewfinder.positives.table import POSITIVES
from viewfinder.recipes.recipe import build

ROWS = [pytest.param(row, id=name) for name, row in POSITIVES.items()]
FORMS = [
    pytest.param(row, kind, id=f"{name}-{kind}")
    for name, row in POSITIVES.items()
    for kind in row.gives
]


@pytest.fixture(autouse=True)
def _faiss(request: pytest.FixtureRequest) -> None:
    if "row" in request.fixturenames and request.getfixturevalue("row").name == "kmeans":
        pytest.importorskip("faiss")


@pytest.mark.parametrize("n", [2, 60])
@pytest.mark.parametrize(("row", "kind"), FORMS)
def test_it_gives_what_it_declares(row: Positives, kind: str, n: int, tmp_path: Path) -> None:
    options = options_of(row, tmp_path, n)
    made = row.assign(options, given(n, kind))  # type: ignore[arg-type]
    if kind == "instance":
        assert made.z is None
        assert made.tags is None
    elif kind == "tags":
        assert made.tags is not None
        assert made.tags.dtype == np.bool_
        assert made.tags.shape[0] == n
        assert made.tags.any()
    else:
        assert made.z is not None
        assert made.z.dtype == np.int64
        assert made.z.shape == ((n,) if kind == "clusters" else (n, len(row.sizes(options))))
        for z in np.atleast_2d(made.z.T):
            np.testing.assert_array_equal(np.unique(z), np.arange(z.max() + 1))
        for z, most in zip(np.atleast_2d(made.z.T), row.sizes(options), strict=False):
            assert z.max() < most
    assert made.keep is None or (made.keep.dtype == np.bool_ and made.keep.shape == (n,))
    assert all(isinstance(note, str) and note for note in made.notes)


@pytest.mark.parametrize(("row", "kind"), FORMS)
def test_it_repeats_itself_with_the_same_seed(row: Positives, kind: str, tmp_path: Path) -> None:
    options = options_of(row, tmp_path, 60)
    first, second = (row.assign(options, given(60, kind, seed=3)) for _ in range(2))  # type: ignore[arg-type]
    assert pickle.dumps(first) == pickle.dumps(second)


@pytest.mark.parametrize("row", ROWS)
def test_what_the_data_lack_is_said_with_a_fix(row: Positives, tmp_path: Path) -> None:
    options = options_of(row, tmp_path, 60)
    row.check(options, split(60))
    for need in row.needs:
        if need == "features":  # an error of the program: nobody can forget them on a command line
            with pytest.raises(ValueError, match="features"):
                row.assign(options, Given(split(60), kind=row.gives[0]))
            continue
        if need == "file":
            broken = options.model_copy(update={"file": str(tmp_path / "nowhere.csv")})
            lacking = split(60)
        else:
            broken, lacking = options, without(need, 60)
        with pytest.raises(UserError) as refused:
            row.check(broken, lacking)
        assert refused.value.fix is not None
        assert {"file": "positives.file", **_FIXES}[need] in str(refused.value)
        with pytest.raises(UserError):  # whoever forgets to ask is told all the same
            row.assign(broken, Given(lacking, given(60, "clusters").features, kind=row.gives[0]))


_FIXES = dict(zip(LACKING, ("data.labels", "positives.file", "positives.file"), strict=True))


@pytest.mark.parametrize("row", ROWS)
def test_options_that_are_unknown_or_of_another_type_are_refused(row: Positives) -> None:
    required = {"positives": {"name": row.name, "file": "z.csv"}} if row.name == "file" else None
    words = required or {"positives": {"name": row.name}}
    with pytest.raises(UserError, match=f"{row.name} has no option 'nonsense'"):
        build("supcon", {"positives": {**words["positives"], "nonsense": 1}})
    for key in row.options.model_fields:
        with pytest.raises(UserError, match=rf"positives\.{key} is"):
            build("supcon", {"positives": {**words["positives"], key: {"not": "this"}}})


@pytest.mark.parametrize("row", ROWS)
def test_options_survive_the_recipe_and_a_pickle(row: Positives, tmp_path: Path) -> None:
    options = options_of(row, tmp_path, 60)
    assert pickle.loads(pickle.dumps(options)) == options
    written = {"name": row.name, **options.model_dump(mode="json")}
    recipe = build("supcon", {"positives": written})
    assert recipe.positives.options() == options
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.to_yaml())
    assert build(file=file).positives.options() == options


@pytest.mark.parametrize("row", ROWS)
def test_its_declarations_agree_with_each_other(row: Positives) -> None:
    assert row.name in POSITIVES
    assert row.summary
    assert not row.summary.endswith(".")
    fields = row.options.model_fields
    assert row.bare is None or row.bare in fields
    assert row.sized_by is None or row.sized_by in fields
    assert row.refreshed == issubclass(row.options, RefreshedOptions)
    assert all(field.description for field in fields.values())
