"""The part of a recipe that says how views are made: a preset or a list of steps, and overrides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from viewfinder.core.errors import OptionError, UserError, within
from viewfinder.core.ranges import Pixels
from viewfinder.core.validation import readable
from viewfinder.data.domain import Domain
from viewfinder.recipes.parts import Part
from viewfinder.recipes.view_keys import OWN, further_keys, overrides_model, short_keys, spelled_out
from viewfinder.views.compose import chosen, items, preset_items, view_maker
from viewfinder.views.items import (
    Item,
    Items,
    ViewSpec,
    choose,
    overridden,
    plain,
    strengthened,
)
from viewfinder.views.maker import Split, ViewMaker
from viewfinder.views.splits.draws import DrawsOptions, small_side
from viewfinder.views.table import PRESETS, SPLITS, STEPS

Factor = Annotated[float, Field(ge=0, le=100)]


class Steps(Part):
    """The steps of a view: a list, or overrides of one.

    What is no field is an override: ``<step>_<option>``, or ``<step>`` for its bare option.
    """

    model_config = ConfigDict(extra="allow")
    bare = "steps"
    steps: list[Any] | None = Field(
        None, description="the steps in order, in place of the preset's: names, {name: value}, or "
        "{name: {option: value}}"
    )  # fmt: skip
    size: Pixels | None = Field(
        None, description="side of the view, px; null: the images', at most 224"
    )
    strength: Factor | dict[str, Factor] | None = Field(
        None, description="how strong the steps are, a factor for all or {step: factor}: 0 has no "
        "effect, 1 or null is as written (docs/which-views.md says what it scales)"
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _as_given(cls, given: Any) -> Any:
        return spelled_out(given)

    @property
    def overrides(self) -> dict[str, Any]:
        """The overrides that are set, by their keys."""
        return {key: value for key, value in (self.model_extra or {}).items() if value is not None}

    def applied_to(self, listed: Items) -> Items:
        """A list of steps with these overrides, as strong as asked for.

        Raises UserError where one would change nothing, since its step is never applied, and as
        ``strengthened``.
        """
        by_step: dict[str, dict[str, Any]] = {}
        known = short_keys()
        for key, value in self.overrides.items():
            step, option = known[key]
            by_step.setdefault(step.name, {})[option] = value
        for name, values in by_step.items():
            try:
                listed = overridden(listed, STEPS[name], values)
            except ValidationError as error:
                found = error.errors()[0]
                cause = found.get("ctx", {}).get("error")
                if isinstance(cause, OptionError):
                    raise cause.within("views.") from error
                raise UserError(f"views: the step {name}: {found['msg']}") from error
            own = [item for item in listed if item.step.name == name]
            if "p" not in values and all(item.idle for item in own):
                usual = STEPS[name].options.model_fields["p"].default
                raise UserError(
                    f"views: {name} is given {values}, but these views have it with a probability "
                    "of 0, so nothing would change",
                    fix=f"views.{name}_p={usual:g}",
                )
        return listed if self.strength is None else strengthened(listed, self.strength)

    def check(self, where: str) -> None:
        """Raise UserError for an unknown key, for a refused value and for an unknown step."""
        try:
            overrides_model()(**(self.model_extra or {}))
        except ValidationError as error:
            own = {f"{where}.{k}": f.description or "" for k, f in type(self).model_fields.items()}
            known = {**own, **further_keys()}
            raise readable(error, known, prefix=tuple(where.split("."))) from error
        for name in self.strength if isinstance(self.strength, dict) else ():
            try:
                STEPS.find(name)
            except UserError as error:
                raise UserError(f"{where}.strength: {error.message}", fix=error.fix) from error
        if self.steps is not None:
            try:
                items(self.steps)
            except UserError as error:
                raise UserError(f"{where}.steps: {error.message}", fix=error.fix) from error


class Views(Steps, DrawsOptions):
    """How views are made. An override set here changes the steps of every view."""

    model_config = ConfigDict(extra="allow")
    bare = "preset"
    preset: str | None = Field(
        "simclr", description=f"{', '.join(PRESETS)}; null where lists of steps are given"
    )
    split: Any = Field(
        "draws", description=f"which views come out: {', '.join(SPLITS)}, with a value as in "
        "channels:1, or {name: {option: value}}"
    )  # fmt: skip
    first: Steps | None = Field(
        None, description="a list of steps, or overrides, of the 1st, 3rd, ... view"
    )
    second: Steps | None = Field(
        None, description="a list of steps, or overrides, of the 2nd, 4th, ... view"
    )

    @model_validator(mode="before")
    @classmethod
    def _no_idle_preset(cls, given: Any) -> Any:
        """Where every view has a list of steps, no preset is named."""
        given = spelled_out(given)
        idle = isinstance(given, Mapping) and lists_all(given)
        return {**given, "preset": None} if idle else given

    @model_validator(mode="after")
    def _known(self) -> Self:
        self.check("views")
        for name, own in zip(OWN, (self.first, self.second), strict=True):
            if own is not None:
                own.check(f"views.{name}")
        if self.preset is not None:
            PRESETS.find(self.preset)
        elif not lists_all(self.model_dump()):
            raise UserError(
                "views.preset is null, and there is no list of steps for every view",
                fix="views=none, or views.steps=[crop,flip,normalise]",
            )
        self._check_split()
        return self

    def _check_split(self) -> None:
        """Raise UserError for a key of the default split that the chosen one does not know."""
        row, options = self._split()
        chosen(SPLITS, {row.name: options})
        for key, field in DrawsOptions.model_fields.items():
            usual = row.views if key == "count" and row.views else field.default
            if key not in row.options.model_fields and getattr(self, key) != usual:
                gives = f": it gives {row.views} views" if row.views else ""
                raise UserError(
                    f"views.{key} is {getattr(self, key)}, which views.split={row.name} does not "
                    f"know{gives}",
                    fix=f"views.{key}={'null' if usual is None else usual}",
                )

    def _split(self) -> tuple[Split, dict[str, Any]]:
        """The row of the split, and its options as given."""
        row, values = choose(SPLITS, self.split)
        shared = DrawsOptions.model_fields.keys() & row.options.model_fields.keys()
        return row, {**{key: getattr(self, key) for key in shared}, **values}

    @property
    def split_row(self) -> Split:
        """The row of the split."""
        return self._split()[0]

    def specs(self, domain: Domain) -> tuple[ViewSpec, ViewSpec]:
        """The steps of the first and of the second view for data of ``domain``.

        The sides of images give way to ``size``.
        """
        with within("views."):
            return self._spec(0, self.first, domain), self._spec(1, self.second, domain)

    def _spec(self, i: int, own: Steps | None, domain: Domain) -> ViewSpec:
        size, shape = (own and own.size) or self.size, domain.shape
        if domain.modality == "images":
            if size is None:
                raise UserError("views.size is not set", fix="views.size=32")
            shape = (domain.channels, size, size)
        if own is not None and own.steps is not None:
            listed = items(own.steps)
        elif self.steps is not None:
            listed = items(self.steps)
        else:
            assert self.preset is not None  # only lists for all views leave it out
            listed = preset_items(self.preset, self.size or size or domain.size, domain.channels)[i]
        listed = self.applied_to(listed)
        listed = listed if own is None else own.applied_to(listed)
        return ViewSpec(listed, replace(domain, shape=shape))

    def maker(self, domain: Domain) -> ViewMaker:
        """What makes the views of data of ``domain``.

        Raises UserError where steps, split, sizes and channels do not fit together.
        """
        row, options = self._split()
        with within("views."):
            return view_maker(*self.specs(domain), {row.name: options})

    def completed(self, domain: Domain) -> Views:
        """The same views with every step and option written out; raises as ``maker``."""
        self.maker(domain)
        first, second = self.specs(domain)
        kept: dict[str, Any] = {"size": self.size, "split": self.split, "count": self.count}
        kept |= {"small_count": self.small_count, "small_scale": self.small_scale}
        if self.small_count and self.size:
            kept["small_size"] = self.small_size or small_side(self.size)
        if first == second:
            return Views(steps=plain(first.items), **kept)
        for name, spec in zip(OWN, (first, second), strict=True):
            kept[name] = {"steps": plain(spec.items)}
            if domain.modality == "images" and spec.domain.size != self.size:
                kept[name]["size"] = spec.domain.size
        return Views(**kept)

    def with_files(self, place: Callable[[str], str]) -> Views:
        """The same with ``place`` of each file that a step is given, in the place of its path."""
        listed = None if self.steps is None else placed(self.steps, place)
        changes: dict[str, Any] = {"steps": listed}
        for name in OWN:
            own = getattr(self, name)
            if own is not None and own.steps is not None:
                changes[name] = own.model_copy(update={"steps": placed(own.steps, place)})
        return self.model_copy(update=changes)

    def plain(self) -> dict[str, Any]:
        """As nested JSON data. What is null is left out, except in overrides: they undo others."""
        found = self.model_dump(mode="json")
        extra = self.model_extra or {}
        found = {k: v for k, v in found.items() if v is not None or k in extra}
        if "steps" in found:  # behind what is short
            found["steps"] = found.pop("steps")
        for name in OWN:
            if name in found:
                kept = {k: v for k, v in found[name].items() if v is not None}
                found[name] = kept["steps"] if set(kept) == {"steps"} else kept
        return found


SMALL = ("small_count", "small_size", "small_scale")
"""The keys of the small views, which are further crops by chance."""


def placed(listed: list[Any], place: Callable[[str], str]) -> list[Any]:
    """A list of steps with ``place`` of each file, in the place of its path."""

    def moved(item: Item) -> Any:
        options = item.options.model_dump(mode="json")
        given = {key: place(options[key]) for key in item.step.paths if options[key]}
        return {item.step.name: {**options, **given}} if given else None

    return [moved(item) or word for item, word in zip(items(listed), listed, strict=True)]


def lists_all(given: Mapping[str, Any]) -> bool:
    """Whether views as given have lists of steps for all of them, so that no preset is used."""
    return given.get("steps") is not None or all(_list_of(given, own) for own in OWN)


def _list_of(given: Mapping[str, Any], own: str) -> bool:
    """Whether one view has a list of its own."""
    part = given.get(own)
    if isinstance(part, Steps):
        return part.steps is not None
    return isinstance(part, Mapping) and part.get("steps") is not None


def layered(row: Mapping[str, Any], *layers: Any) -> dict[str, Any]:
    """A method's row with what the user gives laid over it, later layers winning.

    A choice of steps, be it another preset or a list, clears the choices before it: of the row
    whatever concerns steps, of the user's earlier layers their lists. The user's overrides hold.
    A preset without chance clears the small views before it too: they are random crops.

    Raises UserError for a layer with a preset and a list for every view.
    """
    base: dict[str, Any] = spelled_out(row)
    own: dict[str, Any] = {}
    for layer in map(spelled_out, layers):
        if not isinstance(layer, Mapping):
            layer = {"preset": layer}
        preset, listed = layer.get("preset"), layer.get("steps") is not None
        if preset is not None and lists_all(layer):
            raise UserError(
                f"views.preset={preset}, and lists of steps for all views: one of them is expected",
                fix="views.steps without views.preset",
            )
        another = preset is not None and preset != {**base, **own}.get("preset")
        if another or listed or any(_list_of(layer, name) for name in OWN):
            base = {key: value for key, value in base.items() if not _of_steps(key)}
        if preset is not None or listed:
            own = {k: _without_list(v) for k, v in own.items() if k not in ("preset", "steps")}
        if preset is not None and not PRESETS.find(preset).chance:
            base, own = ({k: v for k, v in one.items() if k not in SMALL} for one in (base, own))
        own = _merged(own, layer)
    return _merged(base, own)


def _of_steps(key: str) -> bool:
    """Whether a key of the views is a list of steps or an override."""
    return key in ("steps", *OWN) or key in short_keys()


def _without_list(value: Any) -> Any:
    """Overrides of one view without its list of steps."""
    if isinstance(value, Mapping) and "steps" in value:
        return {key: own for key, own in value.items() if key != "steps"}
    return value


def _merged(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping over another, the overrides of each view key by key."""
    out = {**before, **after}
    for own in (*OWN, "strength"):
        if isinstance(before.get(own), Mapping) and isinstance(after.get(own), Mapping):
            out[own] = {**before[own], **after[own]}
    return out
