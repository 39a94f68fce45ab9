"""Write what the documentation takes from the code: python docs/generate.py

That is docs/recipe.md, the page of every recipe key, and the part between the marks
``<!-- generated -->`` and ``<!-- end -->`` of each page of a method or a regularizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo
from viewfinder.views.augment import Augmentation

from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.table import POSITIVES
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.parts import Estimate, Match, OptionalAugmentation, Part, Reconstruct
from viewfinder.recipes.recipe import Recipe, build, parts
from viewfinder.views.presets import PRESETS, VARIANTS, preset

TABLES: dict[str, list[Any]] = {
    "objective": list(OBJECTIVES.values()),
    "positives": list(POSITIVES.values()),
}
REGULARIZERS: dict[str, type[Part]] = {
    "rc": Reconstruct,
    "lbe": Estimate,
    "ip": Match,
    "mib": Match,
}
DOCS = Path(__file__).parent
BEGIN, END = "<!-- generated -->\n", "<!-- end -->\n"
INTRODUCTION = """# Every key of a recipe

Generated from the code by `python docs/generate.py`; do not edit.

A recipe is set by words (`viewfinder pretrain moco negatives.size=1024`), by a YAML file
(`--recipe FILE`), or both; words win over the file, the file over the method's row, the row over
the defaults below. `part=value` sets the key marked *bare*. `--print-recipe` shows the result.
"""


def pages() -> dict[Path, str]:
    """What each file should hold: recipe.md, and the pages with a generated part.

    Raises FileNotFoundError for a method or regularizer without a page, and ValueError for one
    without the marks.
    """
    found = {DOCS / "recipe.md": recipe_page()}
    for name in METHODS:
        file = DOCS / "methods" / f"{name}.md"
        found[file] = _filled(file, method(name))
    for name, part in REGULARIZERS.items():
        file = DOCS / "regularizers" / f"{name}.md"
        found[file] = _filled(file, table(part, f"regularizers.{name}."))
    return found


def recipe_page() -> str:
    """The page of every key as Markdown."""
    known = parts()
    blocks = [INTRODUCTION, "## The run\n", table(Recipe, "", skip=set(known))]
    for name, part in known.items():
        summary = (part.__doc__ or "").strip().splitlines()[0]
        skip = set(OptionalAugmentation.model_fields) - {"size"} if name == "views" else set()
        blocks += [f"## {name}\n\n{summary}\n", table(part, f"{name}.", skip)]
        if name == "views":
            blocks.append(
                "One view's augmentation; `null` takes the preset's value. `views.KEY` sets it for "
                "all views, `views.first.KEY` and `views.second.KEY` for one.\n"
            )
            blocks += [table(OptionalAugmentation, "views.", {"size"}), presets()]
        if name in TABLES:
            blocks += [options(name, row) for row in TABLES[name]]
        if name == "regularizers":
            for word, own in REGULARIZERS.items():
                blocks += [f"{own.__doc__}\n", table(own, f"{name}.{word}.")]
    return "\n".join(block for block in blocks if block)


def presets() -> str:
    """What each preset sets for views of each size, where that is not an augmentation's default."""
    rows = []
    for name in PRESETS:
        by_setting: dict[tuple[str, ...], list[str]] = {}
        for size in VARIANTS:
            first, second = (_settings(one) for one in preset(name, size))
            other = ["the same", *(word for word in second if word not in first)]
            words = (", ".join(first) or "nothing", ", ".join(other))
            by_setting.setdefault(words, []).append(str(size))
        for views, sizes in by_setting.items():
            rows.append(f"| `{name}` | {', '.join(sizes)} | {' | '.join(views)} |")
    head = ["What a preset sets, for views of the nearest of these sizes:\n"]
    head += ["| preset | px | 1st, 3rd, ... view | 2nd, 4th, ... view |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _settings(one: Augmentation) -> list[str]:
    own = one.model_dump(mode="json", exclude_defaults=True, exclude={"size", "mean", "std"})
    own = {key: [round(v, 4) for v in x] if isinstance(x, list) else x for key, x in own.items()}
    return [f"`{key}={_plain(value)}`" for key, value in own.items()]


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
        "views": f"{recipe.views.count}{small}, preset `{recipe.views.preset}`",
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
    lines = [f"*{row.summary[0].upper()}{row.summary[1:]}* ({row.source})."]
    if row.source == "-":
        lines = [f"*{row.summary[0].upper()}{row.summary[1:]}.*"]
    lines += ["", f"    {objective.formula}", "", "| part | this method's choice |", "|---|---|"]
    for part, words in shown.items():
        more = [
            f"`{part}.{key}={_plain(value)}`"
            for key, value in given.get(part, {}).items()
            if key not in named.get(part, {"name"})
        ]
        lines.append(f"| {part} | {', '.join([words, *more])} |")
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
        return f"{several}: {_values(inner[0])}"
    if origin is dict:
        return f"name: {_values(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, Part):
        return "see below"
    word = {bool: "`true`, `false`", int: "whole number", float: "number"}.get(kind, "text")
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = [one for piece in metadata for one in getattr(piece, "metadata", None) or [piece]]
    bounds = [
        f"{sign} {getattr(one, name):g}"
        for one in found
        for name, sign in signs.items()
        if getattr(one, name, None) is not None
    ]
    return " ".join([word, " and ".join(bounds)]).strip()


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
