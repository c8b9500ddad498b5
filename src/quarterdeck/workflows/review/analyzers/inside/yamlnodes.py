"""Inside: YAML as plain data with line numbers. Scalars stay text, so that `on:` is a key and not True. Needs yaml of the toolbox."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from quarterdeck.workflows.review.analyzers.inside.common import Unreadable

if TYPE_CHECKING:
    import yaml

MAX_YAML = 512 << 10
"""Pure-Python YAML reads about 100 kB a second; longer files are said to be unchecked."""
MAX_DEPTH = 300
"""The parser's time grows with the square of the depth of `[` and `{`."""
MAX_NODES = 200_000


class Broken(Exception):
    """Text that is no YAML: the parser's message and line."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


class Map(dict[str, object]):
    """A mapping; `line` is where it starts, `lines` where each key stands, `doubled` the keys that occur twice."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.doubled: dict[str, int] = {}


class Text(str):
    """A scalar; `line` is where it starts; `block` when its text begins on the next line (`|` and `>`)."""

    line = 0
    block = False

    def line_of(self, offset: int) -> int:
        """The source line of the character at `offset` of a block scalar."""
        return self.line + int(self.block) + self.count("\n", 0, offset)


class List(list[object]):
    line = 0


def documents(text: str) -> list[object]:
    """Parse every document of a file. Raises Broken for text that is no YAML, Unreadable where it cannot be judged here."""
    try:
        import yaml
    except ImportError:
        raise Unreadable("PyYAML is not installed; install it with: pip install 'quarterdeck[review]'") from None
    if len(text) > MAX_YAML:
        raise Unreadable(f"it is longer than {MAX_YAML >> 10} KiB")
    depth = 0
    for bracket in re.finditer(r"[][{}]", text):
        depth = max(0, depth + (1 if bracket.group() in "[{" else -1))
        if depth > MAX_DEPTH:
            raise Unreadable("it is nested too deeply")
    try:
        built: dict[int, object] = {}
        return [build(node, built) for node in yaml.compose_all(text, Loader=yaml.BaseLoader)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Broken(mark.line + 1 if mark else 1, " ".join(filter(None, (error.context, error.problem)))) from None
    except yaml.YAMLError as error:
        raise Broken(1, str(error).split("\n")[0]) from None


def build(node: yaml.Node | None, built: dict[int, object]) -> object:
    """One node as data. An alias gives the same object again, so that a bomb of aliases stays small."""
    import yaml

    if node is None:
        return None
    if id(node) in built:
        return built[id(node)]
    if len(built) > MAX_NODES:
        raise Unreadable(f"it has more than {MAX_NODES} nodes")
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        made: Map | List | Text = Map(line)
        built[id(node)] = made
        _fill(made, node, built)
    elif isinstance(node, yaml.SequenceNode):
        made = List()
        made.line = line
        built[id(node)] = made
        made.extend(build(child, built) for child in node.value)
    else:
        made = Text(node.value)
        made.line, made.block = line, getattr(node, "style", "") in ("|", ">")
        built[id(node)] = made
    return made


def _fill(made: object, node: yaml.MappingNode, built: dict[int, object]) -> None:
    assert isinstance(made, Map)
    for key_node, value_node in node.value:
        key = str(build(key_node, built)) if not hasattr(key_node.value, "append") else repr(key_node.value)[:80]
        value = build(value_node, built)
        if key == "<<":
            for part in value if isinstance(value, List) else [value]:
                if isinstance(part, Map):
                    for name in part:
                        made.setdefault(name, part[name])
                        made.lines.setdefault(name, part.lines[name])
            continue
        if key in made.lines and key in made:
            made.doubled[key] = key_node.start_mark.line + 1
        made[key] = value
        made.lines[key] = key_node.start_mark.line + 1


def walk(value: object, depth: int = 0, seen: set[int] | None = None) -> Iterator[tuple[Map, str, object]]:
    """Every (mapping, key, value) below `value`, each mapping once."""
    seen = set() if seen is None else seen
    if id(value) in seen or depth > 100:
        return
    if isinstance(value, Map):
        seen.add(id(value))
        for key, child in value.items():
            yield value, key, child
            yield from walk(child, depth + 1, seen)
    elif isinstance(value, List):
        seen.add(id(value))
        for child in value:
            yield from walk(child, depth + 1, seen)


def entries(value: object) -> list[object]:
    """A list, or what stands alone as a list of one."""
    return list(value) if isinstance(value, List) else [] if value in (None, "") else [value]


def mapping(value: object) -> Map:
    return value if isinstance(value, Map) else Map(getattr(value, "line", 1))


def text_of(value: object) -> str:
    return str(value) if isinstance(value, str) else ""


def truthy(value: object) -> bool:
    return text_of(value).lower() in ("true", "yes", "on")
