"""What a run is, as typed data: load, override, complete, save.

A recipe is built in layers, later ones winning: the defaults of ``viewfinder.recipes.parts``, the
row of the method table (``viewfinder.recipes.methods``), a YAML file, and ``key=value`` overrides.
``complete`` then fills in what depends on the data (sizes, channels), so a saved recipe repeats the
run without guessing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

from pydantic import Field, SerializeAsAny, ValidationError
from pydantic.fields import FieldInfo

from viewfinder.core import plain_yaml, plugins
from viewfinder.core.errors import UserError, brief, in_words, nearest
from viewfinder.core.files import path_of
from viewfinder.core.table import spelling
from viewfinder.core.validation import readable
from viewfinder.data.domain import Domain, Modality
from viewfinder.networks.encoders import ENCODERS, choice
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.parts import (
    Choice,
    Encoder,
    Evaluation,
    Head,
    NegativesPart,
    ObjectivePart,
    Optimizer,
    Part,
    PositivesPart,
    Schedule,
    Target,
)
from viewfinder.recipes.regularizers import Regularizers
from viewfinder.recipes.regularizers import keys as regularizer_keys
from viewfinder.recipes.training import Training
from viewfinder.recipes.view_keys import further_keys
from viewfinder.recipes.views import Views, layered
from viewfinder.regularizers.table import REGULARIZERS
from viewfinder.views.frozen import KEPT
from viewfinder.views.maker import ViewMaker


class Recipe(Training):
    """A whole run."""

    made_by: ClassVar[tuple[str, ...]] = (
        *("method", "seed", "objective", "encoder", "head", "target"),
    )
    method: str = Field("simclr", description="row of the method table (viewfinder methods)")
    views: Views = Views()
    positives: SerializeAsAny[PositivesPart] = PositivesPart()
    negatives: SerializeAsAny[NegativesPart] = NegativesPart()
    objective: SerializeAsAny[ObjectivePart] = ObjectivePart()
    regularizers: Regularizers = Regularizers()
    encoder: SerializeAsAny[Encoder] = Encoder()
    head: Head = Head()
    target: SerializeAsAny[Target] = Target()
    optimizer: Optimizer = Optimizer()
    schedule: SerializeAsAny[Schedule] = Schedule()
    evaluation: Evaluation = Evaluation()

    @property
    def clip(self) -> float | None:
        return self.optimizer.clip

    @property
    def domain(self) -> Domain:
        """What the data are, images at the size of the views; the recipe is complete."""
        if self.data.shape is not None:
            return Domain(self.data.modality, self.data.shape, words=self.data.words or 0)
        size, channels = self.views.size, self.data.channels
        if size is None or channels is None:
            raise UserError(
                "the recipe is not complete: it says no views.size or no data.channels",
                fix="the recipe.yaml that pretrain wrote",
            )
        return Domain("images", (channels, size, size))

    def view_maker(self) -> ViewMaker:
        """What makes the views; the recipe is complete."""
        return self.views.maker(self.domain)

    def plain(self) -> dict[str, Any]:
        """The recipe as nested JSON data with every option; ``build(None, ...)`` means the same."""
        plain = super().plain()
        plain["views"] = self.views.plain()
        # What the row of the method sets is written even where null, or reading would set it again.
        row = METHODS[self.method].settings.get("regularizers")
        for name in Regularizers.model_validate(row).model_extra or ():
            plain["regularizers"].setdefault(name, None)
        return plain


def parts(of: type[Training] = Recipe) -> dict[str, type[Part]]:
    """The parts of a recipe by name."""
    fields = of.model_fields.items()
    found = {}
    for name, field in fields:
        if isinstance(field.default, Part):
            found[name] = type(field.default)
    return found


def choices(of: type[Training] = Recipe) -> dict[str, type[Choice]]:
    """The parts of a recipe that are rows of a table, by name."""
    return {name: part for name, part in parts(of).items() if issubclass(part, Choice)}


def keys() -> dict[str, str]:
    """Every dotted key of a recipe with its description (the objective's options by objective)."""
    return keys_of(Recipe) | regularizer_keys() | further_keys()


def keys_of(kind: type[Training]) -> dict[str, str]:
    """The dotted keys of a kind of recipe that stand in its fields and its tables."""
    found: dict[str, str] = {}
    known = parts(kind)
    for name, field in kind.model_fields.items():
        if name not in known:
            found[name] = field.description or ""
            continue
        for inner, own in known[name].model_fields.items():
            found[f"{name}.{inner}"] = own.description or ""
            for deep, deepest in _fields(own).items():
                found[f"{name}.{inner}.{deep}"] = deepest.description or ""
    for name, part in choices(kind).items():
        for row in part.table.values():
            for inner, own in row.options.model_fields.items():
                found.setdefault(f"{name}.{inner}", own.description or "")
    return found


def _part_of(field: FieldInfo) -> type[Part] | None:
    """The part within a part that a field holds, where it does."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, Part):
            return kind
    return None


def _fields(field: FieldInfo) -> dict[str, FieldInfo]:
    part = _part_of(field)
    return {} if part is None else part.model_fields


def _bare(path: Sequence[str], of: type[Training] = Recipe) -> str | None:
    """The field that a part's bare name sets: of ``positives``, or of ``regularizers.rc``."""
    known = parts(of)
    if len(path) == 1 and path[0] in known:
        part = known[path[0]]
        return part.bare if part.bare in part.model_fields else None
    if len(path) == 2 and path[0] == "regularizers" and path[1] in REGULARIZERS:
        return REGULARIZERS[path[1]].bare
    return None


def parse_overrides(words: Iterable[str], of: type[Training] = Recipe) -> dict[str, Any]:
    """Nested dict of ``key=value`` words; a part's bare name sets its main field. ``of``: the kind
    of recipe.

    >>> parse_overrides(["positives=labels", "negatives.size=4096"])
    {'positives': {'name': 'labels'}, 'negatives': {'size': 4096}}
    """
    given = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            there = len(word) < 1_000 and path_of(word).exists()
            raise UserError(
                f"{in_words(word)} is not of the form key=value",
                fix=f"data={word}" if there else f"epochs=20, or data=folder:{word} for images",
            )
        if key.count(".") > 8:
            raise UserError(f"unknown key {brief(key)}. docs/recipe.md lists every key.")
        try:
            given.append((key, plain_yaml.load(text)))
        except UserError as error:
            raise UserError(
                f"the value of {key} cannot be read: {in_words(text)}: {error.message}"
            ) from None
    return nested(given, of)


def nested(given: Iterable[tuple[str, Any]], of: type[Training] = Recipe) -> dict[str, Any]:
    """Nested dict of keys with dots in them; a bare value for a part sets its main field.

    >>> nested([("positives", "labels"), ("negatives.size", 9), ("negatives", {"name": "queue"})])
    {'positives': {'name': 'labels'}, 'negatives': {'size': 9, 'name': 'queue'}}
    """
    out: dict[str, Any] = {}
    for key, value in given:
        path = key.split(".")
        bare = _bare(path, of)
        nothing = len(path) == 2 and value is None  # rc=null: no rc at all
        whole = isinstance(value, Mapping)  # views={steps: [...]}
        if bare is not None and not nothing and not whole:
            path.append(bare)
        here = out
        for step in path[:-1]:
            here = here.setdefault(step, {})
            if not isinstance(here, dict):
                raise UserError(
                    f"{key} is set inside {step}, which was given the value {in_words(here)}"
                )
        here.update(merge(here, {path[-1]: value}))
    return out


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts laid over each other, the later winning leaf by leaf."""
    out: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = out.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            out[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return out


def build(
    method: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    file: Path | None = None,
    *,
    base: Mapping[str, Any] | None = None,
    trusted: bool = True,
) -> Recipe:
    """The recipe of a method, a file and overrides; the later wins. ``base``: nested keys in the
    place of a file.

    The plug-ins that overrides name are imported first, and those of the file if it is
    ``trusted``: one that the user names, not one found in a run folder.

    Raises UserError for an unknown method or key (with the nearest valid one), for a value of
    the wrong type, and for plug-ins that cannot be imported or, in a file that is not trusted,
    have not been.

    >>> build("moco", {"negatives": {"size": 1024}}).negatives.size
    1024
    """
    plugins.load_installed()
    layers = [read(file) if file else base or {}, overrides or {}]
    given = merge(*layers)
    plugins.load(named_plugins(layers[1]))
    needed = list(dict.fromkeys(name for one in (*layers, given) for name in named_plugins(one)))
    if trusted or file is None:
        plugins.load(needed)
    else:
        _require_loaded(needed, file.parent)
    given["plugins"] = needed
    named = given.get("method", "simclr") if method is None else method
    if not isinstance(named, str) or not named:
        raise UserError(
            f"method is {in_words(named)}; the name of a method is expected",
            fix="method=simclr; `viewfinder methods` lists them",
        )
    name = METHODS.find(named).name
    raw = merge(METHODS[name].settings, given, {"method": name})
    views = [layer["views"] for layer in layers if layer.get("views") is not None]
    raw["views"] = layered(METHODS[name].settings.get("views", {}), *views)
    for part, kind in choices().items():
        row, chosen = METHODS[name].settings.get(part, {}), given.get(part, {})
        if not chosen or not isinstance(chosen, Mapping):
            continue
        of_part = [row, *(layer.get(part) for layer in layers)]
        # Options of another choice than the row's do not carry over to the one made instead.
        if "name" in chosen and _row_name(chosen["name"]) != row.get("name"):
            raw[part], of_part = dict(chosen), of_part[1:]
        raw[part] = _replaced(part, kind, raw[part], of_part)
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        raise readable(error, keys()) from error
    check_options(recipe)
    return recipe if file is None else _with_files_beside(recipe, file.parent)


def _with_files_beside(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the files of its views that lie beside its own file, and not here, there."""

    def found(path: str) -> str:
        beside = folder / path
        return str(beside.resolve()) if not path_of(path).exists() and beside.exists() else path

    return recipe.model_copy(update={"views": recipe.views.with_files(found)})


def _row_name(word: Any) -> str:
    """The name of the row in ``NAME:VALUE``."""
    return spelling(str(word).partition(":")[0])


def _replaced(
    part: str, kind: type[Choice], values: Mapping[str, Any], layers: Iterable[Any]
) -> dict[str, Any]:
    """The values of a part, where an option that is given takes the place of a preset one.

    Raises UserError where one layer gives two options of which one is instead of the other.
    """
    row = kind.table.get(_row_name(values.get("name", kind.model_fields["name"].default)))
    out = dict(values)
    for group in row.instead if row is not None else ():
        for layer in layers:
            given = [o for o in group if isinstance(layer, Mapping) and layer.get(o) is not None]
            if len(given) > 1:
                names = [f"{part}.{option}" for option in given]
                raise UserError(
                    f"{' and '.join(names)} are given, and each is instead of the other",
                    fix=f"{names[-1]} alone",
                )
            if given:
                out |= {option: None for option in group if option in out and option not in given}
                out |= {given[0]: layer[given[0]]}
    return out


def named_plugins(given: Mapping[str, Any]) -> list[str]:
    """The modules that a recipe, as plain data, has imported: its plug-ins, and the module of an
    encoder that is a class of the user's own.

    >>> named_plugins({"plugins": "my_rows", "encoder": {"name": "my.nets:Net"}})
    ['my_rows', 'my.nets']
    """
    listed = given.get("plugins") or []
    names = [listed] if isinstance(listed, str) else listed
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"plugins is {in_words(listed)}; the names of modules are expected",
            fix="plugins=[my_rows]",
        )
    encoder = given.get("encoder")
    if isinstance(encoder, Mapping) and isinstance(encoder.get("name"), str):
        name, bare = choice(encoder["name"])
        row = ENCODERS[name]
        if row.plugin and row.bare is not None:
            factory = {**encoder, **bare}.get(row.bare)
            module, colon, _ = factory.partition(":") if isinstance(factory, str) else ("", "", "")
            names = [*names, module] if colon and plugins.is_name(module) else names
    return list(dict.fromkeys(names))


def _require_loaded(needed: Sequence[str], run: Path) -> None:
    """Raise UserError where a run needs plug-ins that the user has not loaded."""
    if all(plugins.is_loaded(name) for name in needed):
        return
    word = f"plugins=[{','.join(needed)}]" if len(needed) > 1 else f"plugins={needed[0]}"
    missing = [name for name in needed if not plugins.is_loaded(name)]
    raise UserError(
        f"{run} was made with plugins=[{','.join(needed)}], and {', '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not loaded here: what a run folder names is "
        "never imported by itself",
        fix=f"viewfinder evaluate {run} {word}, or your own command with {word}, if you trust "
        "that code",
    )


def complete(
    recipe: Recipe,
    shape: tuple[int, ...],
    modality: Modality = "images",
    words: Sequence[str] = (),
) -> Recipe:
    """Fill in what depends on the data: all options of the views, and of images their size.

    shape     of one datum: (C, H, W) of images
    modality  what the data are
    words     the vocabulary of tokens

    Raises UserError where the views are not of such data.
    """
    if modality != "images":
        _check_no_images(recipe, modality)
        views = recipe.views.completed(Domain(modality, shape, words=len(words)))
        known = {"words": len(words), "vocabulary": vocabulary(words)} if words else {}
        data = recipe.data.model_copy(update={"modality": modality, "shape": shape, **known})
        return recipe.model_copy(update={"views": views, "data": data})
    channels, height, width = shape
    size = recipe.views.size or min(height, width, KEPT)
    if size > min(height, width):
        raise UserError(
            f"views.size is {size} px but the images are {width}x{height} px; views are cropped "
            "from the images and cannot be larger",
            fix=f"views.size={min(height, width)} or data.size={size}",
        )
    domain = Domain("images", (channels, size, size))
    views = recipe.views.model_copy(update={"size": size}).completed(domain)
    return recipe.model_copy(
        update={
            "views": views,
            "data": recipe.data.model_copy(
                update={"channels": channels, "modality": modality, "shape": None}
            ),
        }
    )


def vocabulary(words: Sequence[str]) -> str:
    """What tells a vocabulary from others: 16 hexadecimal digits of its words in their order."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _check_no_images(recipe: Recipe, modality: Modality) -> None:
    """Raise UserError for keys of the views that have a meaning for images alone."""
    views = recipe.views
    if views.preset is not None:
        raise UserError(
            f"views={views.preset} are views of images; these data are {modality}",
            fix="views={steps: [" + ("mask" if modality == "tokens" else "{noise: 0.2}") + "]}",
        )
    for key, value in (("size", views.size), ("small_count", views.small_count)):
        if value:
            raise UserError(
                f"views.{key}={value} is of images; these data are {modality}",
                fix=f"leave views.{key} out",
            )


def read(file: Path, of: type[Training] = Recipe) -> dict[str, Any]:
    """What a YAML file of recipe keys holds, nested. Raises UserError for what is none."""
    content = plain_yaml.read_mapping(file)
    fields = {
        key: _bare([key], of) for key, value in content.items() if not isinstance(value, dict)
    }
    return {
        key: {field: value} if (field := fields.get(key)) else value
        for key, value in content.items()
    }


def check_options(recipe: Training) -> None:
    """Raise UserError for an option that the chosen row of a table lacks."""
    for name, part in recipe.choices().items():
        own = part.row.options.model_fields
        for key in part.model_extra or {}:
            if key not in own:
                raise _not_an_option(name, part, key)
        try:
            part.options()
        except ValidationError as error:
            known = {f"{name}.{key}": field.description or "" for key, field in own.items()}
            raise readable(error, known, prefix=(name,)) from error


def _not_an_option(name: str, part: Choice, key: str) -> UserError:
    shared = [field for field in type(part).model_fields if field != "name"]
    own = list(part.row.options.model_fields)
    others = [other for other, row in part.table.items() if key in row.options.model_fields]
    elsewhere = f" ({', '.join(others)} {'has' if len(others) == 1 else 'have'} it)"
    guess = nearest(key, [*own, *shared])
    return UserError(
        f"{name}={part.name} has no option {key!r}{elsewhere if others else ''}; "
        f"its own: {', '.join(own) or 'none'}",
        fix=f"{name}.{guess}" if guess and not others else None,
    )
