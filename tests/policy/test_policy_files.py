"""A broken policy file is refused at load, with file, line and the next thing to do (A17, A30)."""

from __future__ import annotations

from pathlib import Path

import pytest

from quarterdeck.policy import load_bundle
from quarterdeck.policy.source import split
from quarterdeck.protocol.errors import PolicyError

GOOD = '@id("a") @reason("r") permit (principal, action, resource);\n'

BROKEN = [
    ("", 0, "holds no policy"),
    ("// only a remark\n", 0, "holds no policy"),
    (GOOD + '@id("b")\nforbid (principal, action, resource)\nwhen { foo bar };\n', 4, "unexpected token `bar`"),
    (GOOD + "\n\npermit (principal, action, resource);\n", 4, "no @id"),
    (GOOD + '@id(" ") permit (principal, action, resource);\n', 2, "no @id"),
    (GOOD + "\n" + GOOD, 3, '"a") is already used on line 1'),
    (GOOD + '@id("b") permit (principal, action, resource)', 2, "does not end with `;`"),
    (GOOD + '@id("b) permit (principal, action, resource);', 2, "does not end with `;`"),
    (GOOD + '@id("b") permit (principal, action == Action::"fly", resource);\n', 2, "unrecognized action"),
    (GOOD + '@id("b") permit (principal, action == Action::"model.call", resource)\nwhen { context.nope };\n', 2, "nope"),
    (GOOD + '@id("b") permit (principal, action == Action::"model.call", resource) when { context.step > 3 };\n', 2, 'policy "b"'),
    (
        GOOD + '@id("b") permit (principal, action == Action::"model.call", resource) when { context.approval.role == "x" };\n',
        2,
        "optional",
    ),
    (GOOD + '@id("b")\n@obligation("bribe:maintainer")\nforbid (principal, action, resource);\n', 3, "unknown @obligation"),
    (GOOD + '@id("b")\n@obligation("budget:lower")\nforbid (principal, action, resource);\n', 3, "unknown @obligation"),
    (GOOD + '@id("b")\n@obligation("approval:")\nforbid (principal, action, resource);\n', 3, "unknown @obligation"),
    (GOOD + '@id("b") @obligation("approval:x") permit (principal, action, resource);\n', 2, "belongs to a forbid"),
    (GOOD + '@id("b") permit (principal == ?principal, action, resource);\n', 0, "templates"),
    ("\udcff", 1, "not UTF-8"),
]


@pytest.mark.parametrize("text, line, says", BROKEN)
def test_a_broken_file_is_refused_with_its_line(text: str, line: int, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.cedar"
    path.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(PolicyError) as caught:
        load_bundle(path)
    assert caught.value.message.startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert says in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read") as caught:
        load_bundle(tmp_path / "none.cedar")
    assert "default, locked-down" in caught.value.hint
    with pytest.raises(PolicyError, match="cannot be read"):
        load_bundle(tmp_path)


def test_a_huge_file_is_refused_unparsed(tmp_path: Path) -> None:
    (tmp_path / "big.cedar").write_text("// x\n" * 300_000)
    with pytest.raises(PolicyError, match="too big"):
        load_bundle(tmp_path / "big.cedar")


def test_a_users_file_replaces_the_policies_and_keeps_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "mine.cedar"
    path.write_text(GOOD)
    bundle = load_bundle(path)
    assert [(p.id, p.effect, p.line) for p in bundle.policies] == [("a", "permit", 1)]
    assert bundle.schema == load_bundle().schema and bundle.digest != load_bundle().digest
    assert bundle.digest == load_bundle(path).digest, "the digest is of content, not of place or time"


def test_a_users_file_must_pass_the_tests_beside_it(tmp_path: Path) -> None:
    path, tests = tmp_path / "mine.cedar", tmp_path / "mine.cedartest"
    path.write_text(GOOD)
    row = '[[test]]\nname = "no exec"\nkind = "shell.exec"\nresource = {{ type = "Sandbox", id = "e" }}\neffect = "{}"\npolicies = ["a"]\n'
    tests.write_text(row.format("allow"))
    assert load_bundle(path).digest
    tests.write_text(row.format("deny"))
    with pytest.raises(PolicyError, match="no exec: expected deny, decided allow"):
        load_bundle(path)
    for broken, says in [
        ("[[test]]\nkind=1\n", "test 1"),
        ("x = [", "cannot be read"),
        ("", "holds no"),
        (row.format("allow") + "efect = 1\n", "efect"),
    ]:
        tests.write_text(broken)
        with pytest.raises(PolicyError, match=says):
            load_bundle(path)


def test_statements_are_cut_outside_strings_and_remarks() -> None:
    text = '// a; b\n@id("x;\\";")\npermit (principal, action, resource); // c;\n\nforbid (principal, action, resource)'
    assert [(s.line, s.complete) for s in split(text)] == [(2, True), (5, False)]
