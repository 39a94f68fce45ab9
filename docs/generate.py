"""Write what the documentation takes from the code: python docs/generate.py

That is docs/recipe.md, the page of every recipe key, and the part between the marks
``<!-- generated -->`` and ``<!-- end -->`` of each page of a method or a regularizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viewfinder.methods import METHODS
from viewfinder.objectives.registry import OBJECTIVES
from viewfinder.positives.registry import POSITIVES
from viewfinder.recipe import Recipe, build, parts
from viewfinder.recipe_parts import Estimate, Match, OptionalAugmentation, Part, Reconstruct

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
            blocks.append(table(OptionalAugmentation, "views.", {"size"}))
        if name in TABLES:
            blocks += [options(name, row) for row in TABLES[name]]
        if name == "regularizers":
            for word, own in REGULARIZERS.items():
                blocks += [f"{own.__doc__}\n", table(own, f"{name}.{word}.")]
    return "\n".join(block for block in blocks if block)


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
        rows.append(f"| `{prefix}{name}`{bare} | `{_default(field)}` | {field.description} |")
    if not rows:
        return ""
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows, ""])


def options(part: str, row: Any) -> str:
    """The options of one row of a table: an objective, or a kind of positives."""
    text = f"`{part}={row.name}`: {row.summary}.\n"
    if formula := getattr(row, "formula", None):
        text += f"\n    {formula}\n"
    rows = [
        f"| `{part}.{key}` | `{_default(field)}` | {field.description or ''} |"
        for key, field in row.options.model_fields.items()
    ]
    if rows:
        text += "\n" + "\n".join(["| key | default | meaning |", "|---|---|---|", *rows, ""])
    return text


def _filled(file: Path, made: str) -> str:
    """The file's text with the generated part new."""
    before, begin, rest = file.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file} has no part between {BEGIN.strip()} and {END.strip()}")
    return f"{before}{begin}\n{made}\n{end}{after}"


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    return "null" if field.default is None else str(field.default)


def _plain(value: Any) -> str:
    """A value as it is written in a word: without spaces."""
    return str(value).replace(" ", "")


if __name__ == "__main__":
    for file, text in pages().items():
        file.write_text(text)
