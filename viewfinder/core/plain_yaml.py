"""YAML as data alone, by the rules of YAML 1.2 and within limits.

PyYAML reads YAML 1.1, in which ``1:30`` is 90, ``010`` is 8, ``no`` is false wherever it stands
(even as the name of a country) and ``1e-3`` is text. Here numbers, true, false and null are what
YAML 1.2 and JSON say, and whatever else is not quoted is text; an option that is true or false
takes the texts yes, no, on and off too. A key that is written twice is refused, and so is a file
that would grow when it is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from viewfinder.core.errors import UserError, brief, in_words

LONGEST = 200_000
"""Characters of a file."""
LARGEST = 20_000
"""Values in it, each counted as often as an alias repeats it."""
DEEPEST = 20
"""Levels of nesting."""
_DIGITS = 100

_NULL, _BOOL, _INT, _FLOAT, _STR, _SEQ, _MAP = (
    f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map")
)
_KINDS = [
    (_NULL, re.compile(r"(?:~|null|Null|NULL|)\Z")),
    (_BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")),
    (_INT, re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")),
    (_FLOAT, re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")),
    (_FLOAT, re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN)\Z")),
]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {None: _KINDS}  # noqa: RUF012
    yaml_constructors = {}  # noqa: RUF012

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.sizes: dict[int, int] = {}

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.depth == DEEPEST:
            raise _refused(self.peek_event(), f"nested more than {DEEPEST} levels deep")
        repeated = self.check_event(yaml.AliasEvent)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if repeated and id(node) not in self.sizes:
            raise _refused(node, "an alias stands in what it repeats")
        if not repeated:
            self.sizes[id(node)] = 1 + sum(map(self._size, _inside(node)))
        if self.sizes[id(node)] > LARGEST:
            raise _refused(node, f"more than {LARGEST:,} values")
        return node

    def _size(self, node: Node) -> int:
        return self.sizes[id(node)]


def _inside(node: Node | None) -> list[Node]:
    if isinstance(node, MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _plain(node: Node) -> Any:
    """A node as None, bool, int, float, str, list or dict."""
    if isinstance(node, SequenceNode) and node.tag == _SEQ:
        return [_plain(one) for one in node.value]
    if isinstance(node, MappingNode) and node.tag == _MAP:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = _plain(key)
            if not isinstance(name, str):
                raise _refused(key, f"the key {in_words(name)} is no text")
            if name in found:
                raise _refused(key, f"the key {brief(name)} is there twice")
            found[name] = _plain(value)
        return found
    if isinstance(node, ScalarNode):
        return _scalar(node)
    raise _refused(node, f"{brief(node.tag)} is no plain data")


def _scalar(node: ScalarNode) -> Any:
    text = node.value
    if node.tag == _STR:
        return text
    if node.tag == _NULL:
        return None
    if not any(tag == node.tag and pattern.match(text) for tag, pattern in _KINDS):
        raise _refused(node, f"{in_words(text)} is no {brief(node.tag)}")
    if node.tag == _BOOL:
        return text.lower() == "true"
    if len(text) > _DIGITS:
        raise _refused(node, f"a number has {len(text):,} digits")
    if node.tag == _INT:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _refused(node: Any, what: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)


def load(text: str) -> Any:
    """YAML text as None, bool, int, float, str, list and dict.

    Raises UserError, without the name of the file, for what is no YAML and for what is said above.

    >>> load("{on: 1:30, b: no, c: [1e-3, 010, ~]}")
    {'on': '1:30', 'b': 'no', 'c': [0.001, 10, None]}
    """
    if len(text) > LONGEST:
        raise UserError(f"{len(text):,} characters; at most {LONGEST:,} are expected")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else _plain(node)
    except yaml.MarkedYAMLError as error:
        mark, told = error.problem_mark, [one for one in (error.context, error.problem) if one]
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UserError(f"{where}{brief(', '.join(told))}") from None
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise UserError(brief(error)) from None


def read_mapping(file: Path) -> dict[str, Any]:
    """The mapping of keys that a YAML file holds.

    Raises UserError, with its name, where there is no such file, and for what ``load`` refuses.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            content = load(stream.read(LONGEST + 1))
    except FileNotFoundError as error:
        raise UserError(f"there is no recipe file {file}") from error
    except (UserError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} holds {type(content).__name__}; a mapping of keys was expected")
    return content


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would take for anything but text."""


for _tag, _pattern in _KINDS:
    _Dumper.add_implicit_resolver(_tag, _pattern, None)


def dump(data: Any) -> str:
    """Plain data as YAML, which reads back equal by the rules of 1.1 and of 1.2.

    >>> dump({"a": ["1e3", "no", 0.5]})
    "a: ['1e3', 'no', 0.5]\\n"
    """
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100)
