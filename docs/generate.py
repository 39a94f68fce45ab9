"""Write what the documentation takes from the code: python docs/generate.py

That is docs/recipe.md, the page of every recipe key, docs/methods.md, the list of methods, and the
part between the marks ``<!-- generated -->`` and ``<!-- end -->`` of docs/data.md,
docs/which-views.md, docs/learned-views.md and each page of a method or a regularizer. The
pictures of docs/which-views.md are drawn by docs/gallery.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import getdoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from viewfinder.core.table import Table
from viewfinder.data.sources.table import SOURCES
from viewfinder.negatives.table import NEGATIVES
from viewfinder.networks.encoders import ENCODERS
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.table import POSITIVES
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.parts import Part
from viewfinder.recipes.recipe import Recipe, build, parts
from viewfinder.recipes.training import Training
from viewfinder.recipes.view_keys import short_key
from viewfinder.recipes.view_learning import ViewLearning
from viewfinder.regularizers import REGULARIZERS, Regularizer
from viewfinder.views import PRESETS, SPLITS, STEPS
from viewfinder.views.compose import preset_items
from viewfinder.views.items import Items
from viewfinder.views.presets import VARIANTS

TABLES: dict[str, Table[Any]] = {
    "encoder": ENCODERS,
    "objective": OBJECTIVES,
    "positives": POSITIVES,
    "negatives": NEGATIVES,
}
DOCS = Path(__file__).parent
BEGIN, END = "<!-- generated -->\n", "<!-- end -->\n"
VIEWS = """The steps are those of the preset; or a list in a YAML file, in the order written:

    views:
      steps: [crop: [0.2, 1.0], flip, jitter: [0.4, 0.4, 0.4, 0.1], grey: 0.2, blur: 0.5, normalise]

Each is a name, `name: value` for the option that the name alone sets, or `name: {option: value}`.
`views.first` and `views.second` may be such lists too. A list without a crop begins with the centre
square. Short keys override single options: `views.KEY` in every view, `views.first.KEY` and
`views.second.KEY` in one. Where a list lacks the step, it is inserted at its usual place, which is
the order below. `views=PRESET` and `views.steps` leave no step of the method's row.

Every step, with the key of each option, and in brackets the key that is short for it:
"""
INTRODUCTION = """# Every key of a recipe

Generated from the code by `python docs/generate.py`; do not edit.

A recipe is set by words (`viewfinder pretrain moco negatives.size=1024`), by a YAML file
(`--recipe FILE`), or both; words win over the file, the file over the method's row, the row over
the defaults below. `part=value` sets the key marked *bare*. `--print-recipe` shows the result.

Files and values are YAML 1.2: `1e-3` is a number, `1:30` and `no` are text. An option that is
true or false takes `yes`, `no`, `on` and `off` too. A key that is written twice, an object, and a
file that aliases make huge are refused.
"""
METHODS_INTRODUCTION = """# Every method, and every regularizer

Generated from the code by `python docs/generate.py`; do not edit.

A method is a row of settings over the parts of a recipe; `viewfinder methods` prints the same
list with the parts of each. A regularizer is added to any of them:
`viewfinder pretrain moco regularizers=rc`.
"""


def pages() -> dict[Path, str]:
    """What each file should hold: recipe.md, and the pages with a generated part.

    Raises FileNotFoundError for a method or regularizer without a page, and ValueError for one
    without the marks.
    """
    found = {DOCS / "recipe.md": recipe_page()}
    found[DOCS / "data.md"] = _filled(DOCS / "data.md", sources())
    found[DOCS / "which-views.md"] = _filled(DOCS / "which-views.md", gallery())
    found[DOCS / "learned-views.md"] = _filled(DOCS / "learned-views.md", view_learning())
    for name in METHODS:
        file = DOCS / "methods" / f"{name}.md"
        found[file] = _filled(file, method(name))
    for name, row in REGULARIZERS.items():
        file = DOCS / "regularizers" / f"{name}.md"
        found[file] = _filled(file, regularizer(row))
    found[DOCS / "methods.md"] = methods()
    return found


def methods() -> str:
    """The list of methods and regularizers, each with what it is and a link to its page."""
    lines = [METHODS_INTRODUCTION, "| method | what it does | paper |", "|---|---|---|"]
    lines += [
        f"| [{row.name}](methods/{row.name}.md) | {row.summary} | {row.paper} |"
        for row in METHODS.values()
    ]
    lines += ["", "| regularizer | what it adds | paper |", "|---|---|---|"]
    for row in REGULARIZERS.values():
        page = f"[{row.name}](regularizers/{row.name}.md)"
        lines.append(f"| {page} | {row.summary} | {row.paper} |")
    return "\n".join([*lines, ""])


def recipe_page() -> str:
    """The page of every key as Markdown."""
    known = parts()
    blocks = [INTRODUCTION, "## The run\n", table(Recipe, "", skip=set(known))]
    for name, part in known.items():
        summary = (part.__doc__ or "").strip().splitlines()[0]
        blocks += [f"## {name}\n\n{summary}\n", table(part, f"{name}.")]
        if name == "views":
            blocks += [VIEWS, *map(step, STEPS), presets(), *map(split, SPLITS)]
        if name in TABLES:
            blocks += [options(name, row) for row in TABLES[name].values()]
        if name == "regularizers":
            for row in REGULARIZERS.values():
                blocks.append(f"`regularizers={row.name}`: {row.summary} ({row.paper}).\n")
                blocks += [f"    {row.formula}\n", regularizer(row)]
    return "\n".join(block for block in blocks if block)


def view_learning() -> str:
    """The keys of a training of views that a recipe does not have."""
    own, shared = parts(ViewLearning), Training.model_fields.keys() - {"method"}
    blocks = [table(ViewLearning, "", skip={*own, *shared})]
    blocks += [
        f"### {name}\n\n{getdoc(part)}\n\n{table(part, f'{name}.')}"
        for name, part in own.items()
        if name not in parts()
    ]
    return "\n".join(blocks)


def step(name: str) -> str:
    """A step, and the keys that override its options."""
    row = STEPS[name]
    channels = row.channels(row.options())
    facts = [row.paper] if row.paper else []
    facts += [] if row.modalities == ("images",) else [f"for {' and '.join(row.modalities)}"]
    facts += [f"{' or '.join(map(str, channels))} channels"] if channels else []
    told = f" ({'; '.join(facts)})" if facts else ""
    rows = []
    for option, field in row.options.model_fields.items():
        bare = f" (`views.{name}`)" if option == row.bare else ""
        rows.append(_row(f"`views.{short_key(row, option)}`{bare}", field))
    return f"`{name}`: {row.summary}{told}.\n\n{_keys(rows)}"


def split(name: str) -> str:
    """A split and its options; those of the default one are keys of the views and stand there."""
    row, keys = SPLITS[name], parts()["views"].model_fields
    paper = f" ({row.paper})" if row.paper else ""
    rows = []
    for option, field in row.options.model_fields.items():
        if option not in keys or keys[option].description != field.description:
            bare = f" (`{name}:...`)" if option == row.bare else ""
            rows.append(_row(f"`{{{name}: {{{option}: ...}}}}`{bare}", field))
    return f"`views.split={name}`: {row.summary}{paper}.\n\n{_keys(rows)}"


def presets() -> str:
    """The steps of each preset for views of each size; what is never applied is left out."""
    rows = []
    for name, row in PRESETS.items():
        by_steps: dict[tuple[str, str], list[str]] = {}
        for size in VARIANTS:
            first, second = (_steps(view) for view in preset_items(name, size))
            by_steps.setdefault((first, second), []).append(str(size))
        for (first, second), sizes in by_steps.items():
            other = "the same" if first == second else second
            about = f"`{name}`" + (f" ({row.paper})" if row.paper else "")
            rows.append(f"| {about} | {', '.join(sizes)} | {first} | {other} |")
    head = ["The steps of each preset, for views of the nearest of these sizes:\n"]
    head += ["| preset | px | 1st, 3rd, ... view | 2nd, 4th, ... view |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _steps(listed: Items) -> str:
    """The steps that are applied, in order, with the options that have not a step's default."""
    words = []
    for item in listed:
        if item.idle:
            continue
        own = item.options.model_dump(mode="json", exclude_defaults=True)
        told = ", ".join(f"{key}: {_plain(value)}" for key, value in own.items())
        if set(own) == {item.step.bare}:
            told = told.partition(": ")[2]
        elif own:
            told = f"{{{told}}}"
        words.append(f"`{item.step.name}{': ' if told else ''}{told}`")
    return ", ".join(words)


def sources() -> str:
    """What every source holds, and the options that follow the colon of some."""
    lines = ["| source | what it holds |", "|---|---|"]
    for row in SOURCES.values():
        paper = f" ({row.paper})" if row.paper else ""
        lines.append(f"| `{row.spelling}` | {row.summary}{paper} |")
    for row in SOURCES.values():
        if row.bare is None and row.options.model_fields:
            fields = row.options.model_fields.items()
            rows = [_row(f"`{key}`", field) for key, field in fields]
            lines += ["", f"`{row.name}:key=value,...` sets", "", _keys(rows).rstrip()]
    return "\n".join([*lines, ""])


def gallery() -> str:
    """A picture of every step and every split, with what it is."""
    lines = []
    for kind, rows in (("step", STEPS), ("split", SPLITS)):
        lines += [f"### Every {kind}", "", f"| {kind} | what it is | picture |", "|---|---|---|"]
        for name, row in rows.items():
            paper = f" ({row.paper})" if row.paper else ""
            picture = f"![{name}](images/views/{kind}-{name}.png)"
            lines.append(f"| `{name}` | {row.summary}{paper} | {picture} |")
        lines.append("")
    lines += ["### Strength", "", "| step | what `views.strength` scales |", "|---|---|"]
    lines += [f"| `{n}` | {row.scales.words} |" for n, row in STEPS.items() if row.scales]
    return "\n".join([*lines, ""])


def method(name: str) -> str:
    """A method's formula and its parts."""
    recipe, row = build(name), METHODS[name]
    objective, positives = OBJECTIVES[recipe.objective.name], POSITIVES[recipe.positives.name]
    given = {part: v for part, v in row.settings.items() if isinstance(v, Mapping)}
    own = {key: v for key, v in row.settings.items() if not isinstance(v, Mapping)}
    if "optimizer" in given:
        own |= {f"optimizer.{key}": v for key, v in given["optimizer"].items()}
    small = f" and {recipe.views.small_count} small ones" if recipe.views.small_count else ""
    predictor = recipe.head.predictor
    shown = {
        "views": f"{recipe.views.count}{small}, "
        + (f"preset `{recipe.views.preset}`" if recipe.views.preset else "steps of its own"),
        "positives": f"`{positives.name}`: {positives.summary}",
        "negatives": f"`{recipe.negatives.name}`",
        "objective": f"`{objective.name}`: {objective.summary}",
        "regularizers": str(recipe.regularizers),
        "head": "one linear layer to the classes"
        if objective.outputs == "classes"
        else f"projector {recipe.head.projector}"
        + (f", predictor {predictor}" if predictor else ""),
        "target": f"`{recipe.target.name}`",
    }
    named = {"views": {"preset", "count", "small_count"}, "head": {"projector", "predictor"}}
    paper = f" ({row.paper})" if row.paper else ""
    lines = [f"*{row.summary[0].upper()}{row.summary[1:]}*{paper}."]
    lines += ["", f"    {objective.formula}", "", "| part | this method's choice |", "|---|---|"]
    for part, words in shown.items():
        more = [
            f"`{part}.{key}={_plain(value)}`"
            for key, value in given.get(part, {}).items()
            if key not in named.get(part, {"name"})
        ]
        lines.append(f"| {part} | {', '.join([words, *more])} |")
    if "encoder" in given:
        lines.append(f"| encoder | `{recipe.encoder}`: {recipe.encoder.row.summary} |")
    if own:
        run = ", ".join(f"`{key}={_plain(value)}`" for key, value in own.items())
        lines.append(f"| the run | {run} |")
    return "\n".join([*lines, ""])


def table(part: type[Part], prefix: str, skip: set[str] | None = None) -> str:
    """The keys of a part: name, default, meaning."""
    rows = []
    for name, field in part.model_fields.items():
        if skip and name in skip:
            continue
        bare = " (*bare*)" if prefix and name == part.bare else ""
        rows.append(_row(f"`{prefix}{name}`{bare}", field))
    return _keys(rows)


def options(part: str, row: Any) -> str:
    """The options of one row of a table: an objective, or a kind of positives."""
    text = f"`{part}={row.name}`: {row.summary}.\n"
    if formula := getattr(row, "formula", None):
        text += f"\n    {formula}\n"
    rows = [_row(f"`{part}.{key}`", field) for key, field in row.options.model_fields.items()]
    return f"{text}\n{_keys(rows)}" if rows else text


def regularizer(row: Regularizer) -> str:
    """What a regularizer declares, and its options."""
    least, most = row.views
    facts = ["Minimised" if row.sign > 0 else "Maximised"]
    facts += [f"needs {least} views in the online encoder"] if least == most != 1 else []
    facts += ["the head sees noisy features"] if row.noise else []
    facts += ["has parameters of its own, trained with the encoder"] if row.parameters else []
    keys = [
        _row(f"`regularizers.{row.name}.{key}`{' (*bare*)' if key == row.bare else ''}", field)
        for key, field in row.options.model_fields.items()
    ]
    return f"{'; '.join(facts)}.\n\n{_keys(keys)}"


def _keys(rows: list[str]) -> str:
    head = ["| key | values | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""]) if rows else ""


def _row(key: str, field: FieldInfo) -> str:
    values = _values(field.annotation, field.metadata)
    return f"| {key} | {values} | `{_default(field)}` | {field.description or ''} |"


def _filled(file: Path, made: str) -> str:
    """The file's text with the generated part new."""
    before, begin, rest = file.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file} has no part between {BEGIN.strip()} and {END.strip()}")
    return f"{before}{begin}\n{made}\n{end}{after}"


def _values(kind: Any, metadata: Sequence[Any] = ()) -> str:
    """What a type allows, in words: "whole number > 0", "`mean`, `sum`"."""
    inner = [one for one in get_args(kind) if one is not NoneType]
    origin = get_origin(kind)
    if origin is Annotated:
        return _values(inner[0], [*metadata, *inner[1:]])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_values(one, metadata) for one in inner))
    if origin is list:
        return f"list: {_values(inner[0])}"
    if origin is tuple:
        several = "list" if Ellipsis in inner else f"list of {len(inner)}"
        kinds = dict.fromkeys(_values(one) for one in inner if one is not Ellipsis)
        return f"{several}: {', '.join(kinds)}"
    if origin is dict:
        return f"name: {_values(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, Part):
        return "see below"
    word = {bool: "`true`, `false`", int: "whole number", float: "number"}.get(kind, "text")
    found = [one for piece in metadata for one in getattr(piece, "metadata", None) or [piece]]
    bounds = {
        name: getattr(one, name)
        for one in found
        for name in ("gt", "ge", "lt", "le")
        if getattr(one, name, None) is not None
    }
    if bounds.keys() == {"ge", "le"}:
        return f"{word} from {_number(bounds['ge'])} to {_number(bounds['le'])}"
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    told = [f"{signs[name]} {_number(value)}" for name, value in bounds.items()]
    return " ".join([word, " and ".join(told)]).strip()


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else _plain(field.default)


def _plain(value: Any) -> str:
    """A value as it is written in a word, as YAML without spaces."""
    if isinstance(value, tuple):
        value = list(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...").replace(", ", ",")


if __name__ == "__main__":
    for file, text in pages().items():
        file.write_text(text)
