"""The scripted stand-in for a model: it chooses each step from the tool outputs in the request, by rules that anybody can read.

It knows no bug by name. It runs the tests, reads the test that fails and the module that this test imports, and tries small
changes near the functions that the test calls, one after another, until the whole suite passes.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quarterdeck.testing import Reply, call, text, tool_outputs, user_text

FAILED = re.compile(r"^FAILED ([^\s:]+\.py)::(\w+)", re.M)
TASK = re.compile(r"project in `(?P<project>[^`]+)`.*with `(?P<command>[^`]+)`", re.S)


@dataclass(frozen=True)
class Turn:
    """A tool call that was answered."""

    name: str
    arguments: Mapping[str, Any]
    output: str


@dataclass(frozen=True)
class Try:
    """A whole new text of a module, and in words what is new."""

    content: str
    words: str


def turns(body: dict[str, Any]) -> list[Turn]:
    """The tool calls so far with their outputs, oldest first."""
    asked = [one["function"] for message in body["messages"] for one in message.get("tool_calls") or ()]
    return [Turn(one["name"], json.loads(one["arguments"]), out) for one, out in zip(asked, tool_outputs(body), strict=True)]


def script(body: dict[str, Any]) -> Reply:
    """The next step for this request."""
    task = TASK.search(user_text(body))
    if task is None:
        return text("I only repair projects whose tests I am told how to run.")
    seen = turns(body)
    runs = [turn.output for turn in seen if turn.name == "shell"]
    if not runs:
        return call("shell", command=task["command"])
    if runs[-1].startswith("exit code 0"):
        return text(f"All tests pass after {sum(t.name == 'write_file' for t in seen)} tries.")
    failed = FAILED.search(runs[0])
    if failed is None:
        return text("No test fails that I could name.")
    files = {str(turn.arguments["path"]): turn.output for turn in seen if turn.name == "read_file"}
    test = f"{task['project']}/{failed[1]}"
    if test not in files:
        return call("read_file", path=test)
    modules = [f"{task['project']}/src/{name.replace('.', '/')}.py" for name in imported(files[test])]
    for module in modules:
        if module not in files:
            return call("read_file", path=module)
    return _attempt(seen, task["command"], [(m, one) for m in modules for one in tries(files[m], called(files[test], failed[2]))])


def _attempt(seen: list[Turn], command: str, wanted: list[tuple[str, Try]]) -> Reply:
    """Write the next change, or test the one just written."""
    if seen[-1].name == "write_file":
        return call("shell", command=command)
    done = sum(turn.name == "write_file" for turn in seen)
    if done >= len(wanted):
        return text("I tried every small change that I know, and a test still fails.")
    module, one = wanted[done]
    return call("write_file", path=module, content=one.content)


def imported(source: str) -> list[str]:
    """The modules that a test imports names from, those of the standard library and pytest left out by having no dot."""
    return [node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom) and node.module and "." in node.module]


def called(source: str, test: str) -> set[str]:
    """The names of the functions and methods that a test calls."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == test]
    calls = [n.func for function in functions for n in ast.walk(function) if isinstance(n, ast.Call)]
    return {f.id if isinstance(f, ast.Name) else f.attr for f in calls if isinstance(f, (ast.Name, ast.Attribute))}


def tries(source: str, suspects: set[str]) -> Iterator[Try]:
    """Small changes of a module: first in the functions of these names, then in the others."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    lines = source.splitlines(keepends=True)
    for near in (True, False):
        for function in functions:
            if (function.name in suspects) == near:
                for number in range(function.lineno, (function.end_lineno or function.lineno) + 1):
                    for rule in RULES:
                        yield from rule(lines, number - 1)


def _with(lines: list[str], index: int, new: str, count: int = 1) -> Try:
    old = "".join(lines[index : index + count]).strip()
    return Try("".join((*lines[:index], new, *lines[index + count :])), f"{old} -> {new.strip()}")


def boundary(lines: list[str], index: int) -> Iterator[Try]:
    """A limit that belongs to the other side: `>` for `>=` and so on."""
    other = {">": ">=", ">=": ">", "<": "<=", "<=": "<"}
    line = lines[index]
    for match in re.finditer(r"(?<= )(<=|>=|<|>)(?= )", line):
        yield _with(lines, index, line[: match.start()] + other[match[1]] + line[match.end() :])


def rounding(lines: list[str], index: int) -> Iterator[Try]:
    """Money is rounded half up in whole numbers, not half to even as `round` does."""
    match = re.search(r"\bround\((?P<over>.+) / (?P<under>\d+)\)", lines[index])
    if match:
        whole = f"({match['over']} + {int(match['under']) // 2}) // {match['under']}"
        yield _with(lines, index, lines[index].replace(match[0], whole))


def remainder(lines: list[str], index: int) -> Iterator[Try]:
    """A division into equal parts that forgets the rest: the first parts get one more."""
    pair = "".join(lines[index : index + 2])
    match = re.fullmatch(r"(?P<i>\s+)(?P<x>\w+) = (?P<a>\w+) // (?P<b>\w+)\n\s+return \[(?P=x) for _ in range\((?P=b)\)\]\n", pair)
    if match:
        first = f"{match['i']}{match['x']}, rest = divmod({match['a']}, {match['b']})\n"
        second = f"{match['i']}return [{match['x']} + 1 if i < rest else {match['x']} for i in range({match['b']})]\n"
        yield _with(lines, index, first + second, 2)


def summing(lines: list[str], index: int) -> Iterator[Try]:
    """`setdefault` keeps the first of several values; where they are counts, their sum is meant."""
    match = re.fullmatch(r"(?P<i>\s+)(?P<d>\w+)\.setdefault\((?P<k>\w+), (?P<v>[\w.]+)\)\n", lines[index])
    if match:
        yield _with(lines, index, f"{match['i']}{match['d']}[{match['k']}] = {match['d']}.get({match['k']}, 0) + {match['v']}\n")


def stripping(lines: list[str], index: int) -> Iterator[Try]:
    """Text from a file is taken with the spaces around it."""
    match = re.fullmatch(r"(?P<all>\s+\w+ = \w+\[\"\w+\"\])\n", lines[index])
    if match:
        yield _with(lines, index, f"{match['all']}.strip()\n")


RULES = (boundary, rounding, remainder, summing, stripping)
