"""Write docs/recipe.md, the page of every recipe key, from the code: python docs/generate.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from viewfinder.objectives.registry import OBJECTIVES
from viewfinder.positives.registry import POSITIVES
from viewfinder.recipe import OptionalAugmentation, Part, Recipe, parts

TABLES: dict[str, list[Any]] = {
    "objective": list(OBJECTIVES.values()),
    "positives": list(POSITIVES.values()),
}
PAGE = Path(__file__).with_name("recipe.md")
INTRODUCTION = """# Every key of a recipe

Generated from the code by `python docs/generate.py`; do not edit.

A recipe is set by words (`viewfinder pretrain moco negatives.size=1024`), by a YAML file
(`--recipe FILE`), or both; words win over the file, the file over the method's row, the row over
the defaults below. `part=value` sets the key marked *bare*. `--print-recipe` shows the result.
"""


def page() -> str:
    """The whole page as Markdown."""
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
    return "\n".join(block for block in blocks if block)


def table(part: type[Part], prefix: str, skip: set[str]) -> str:
    """The keys of a part: name, default, meaning."""
    rows = []
    for name, field in part.model_fields.items():
        if name in skip:
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


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    return "null" if field.default is None else str(field.default)


if __name__ == "__main__":
    PAGE.write_text(page())
