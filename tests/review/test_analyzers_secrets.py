"""A4: secrets by their shape, and law 6 for them: what was found is redacted before it leaves the sandbox."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from analyzers_lab import Bench

from quarterdeck.workflows.review.analyzers import collect, validate

# Written in parts, so that no scanner takes this file for a leak.
KEYS = {
    "aws-access-key": "AKIA" + "Z7QK4M2NPXR5TLWB",
    "github-token": "ghp_" + "a8Kd03jfL2mQx7Vb91ZcR4tYw6Hs5Np0Ge3U",
    "gitlab-token": "glpat-" + "x7Kq2Lm9Rt4Vw8Zb1Nc5",
    "slack-token": "xoxb-" + "294817364512-8371920465718-a8Kd03jfL2mQx7Vb91Zc",
    "slack-webhook": "https://hooks.slack.com/services/" + "T02AB3CD4/B05EF6GH7/a8Kd03jfL2mQx7Vb91ZcR4tY",
    "stripe-key": "sk_live_" + "51Hq8Kd03jfL2mQx7Vb91ZcR4tYw6",
    "google-api-key": "AIza" + "SyD9k2Lm4Qx7Vb1ZcR4tYw6Hs5Np0Ge3Uj8",
    "npm-token": "npm_" + "a8Kd03jfL2mQx7Vb91ZcR4tYw6Hs5Np0Ge3U",
    "pypi-token": "pypi-" + "AgEIcHlwaS5vcmcCJDk4ZjQ3YTIxLTRkYjMtNGE2Mi1iN2Mx" + "a8Kd03jfL2mQx7Vb91",
    "anthropic-key": "sk-ant-" + "api03-a8Kd03jfL2mQx7Vb91ZcR4tYw6Hs5Np0Ge3Uq",
    "openai-key": "sk-proj-" + "a8Kd03jfL2mQx7Vb91ZcR4tYw6Hs5Np0Ge3Uq7Lm2Xv9",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "private-key": "-----BEGIN RSA " + "PRIVATE KEY-----",
}
PASSWORD = "kT9" + "#vQ2m!xW7pL4z"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def everything(bench: Bench, findings: object) -> str:
    """All that a report could show: findings, artifacts, what was not checked."""
    return msgspec.json.encode([findings, list(bench.runs.values()), bench.not_checked]).decode()


@pytest.mark.parametrize("kind", KEYS)
def test_known_shapes_are_found_and_never_shown(bench: Bench, kind: str) -> None:
    bench.change("settings.py", "a = 1\n", f'a = 1\n\nVALUE = "{KEYS[kind]}"\n')
    found = bench.review("secrets")
    assert [(f.rule, f.line, f.severity) for f in found] == [(f"secrets/{kind}", 3, "high")]
    if kind != "private-key":
        assert KEYS[kind] not in everything(bench, found)
        assert found[0].evidence == f"{KEYS[kind][:4]}… ({len(KEYS[kind])} characters)"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", f'DB_PASSWORD = "{PASSWORD}"'),
        ("a.py", f'    "api_key": "{PASSWORD}",'),
        ("a.py", f"connect(password='{PASSWORD}')"),
        ("a.py", f'token: str = "{PASSWORD}"'),
        ("a.js", f'const clientSecret = "{PASSWORD}";'),
        (".env", f"SECRET_KEY={PASSWORD.replace('#', '_')}"),
        ("app.yaml", f"auth-token: {PASSWORD.replace('#', '_')}"),
        ("a.py", f'URL = "postgres://app:{PASSWORD.replace("#", "_")}@db.internal/app"'),
    ],
)
def test_passwords_in_assignments_are_found_and_never_shown(bench: Bench, path: str, line: str) -> None:
    bench.change(path, "", line + "\n")
    found = bench.review("secrets")
    assert len(found) == 1 and found[0].rule in ("secrets/assigned", "secrets/url-password")
    for secret in (PASSWORD, PASSWORD.replace("#", "_")):
        assert secret not in everything(bench, found)


@pytest.mark.parametrize(
    "line",
    [
        'password = "changeme"',
        'password = os.environ["DB_PASSWORD"]',
        'API_KEY = "your-api-key-here"',
        'API_KEY = "<your key>"',
        'token = "${TOKEN}"',
        'AWS_KEY = "AKIAIOSFODNN7EXAMPLE"',
        'TOKEN_URL = "https://login.acme.org/oauth2/v2.0/token"',
        'secret_name = "projects/app/secrets/db"',
        'password_field = "user_password_input"',
        'token_type = "authorization_code"',
        'digest_token = "9e107d9d372bb6826bd81d3542a419d69e107d9d"',
        "secret: ${{ secrets.DEPLOY_KEY }}",
        "token = request.headers.get('Authorization')",
        'tokenizer = "bert-base-uncased"',
        'DATABASE = "postgres://user:password@localhost/db"',
        'DATABASE = "postgres://user:${PASSWORD}@localhost/db"',
        'commit = "e35efea0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6"',
        'integrity = "sha512-abcDEF0123456789abcDEF0123456789abcDEF0123456789=="',
        'key = "sk_test_51Hq8Kd03jfL2mQx7Vb91ZcR4tYw6"',
        'SECRET_KEY = "test-Secret-1234567890"',
        'API_KEY_HEADER = "X-Api-Key"',
        'max_tokens = "4096-default"',
        'PASSWORD_PATTERN = r"^[A-Za-z0-9]{8,}$"',
    ],
)
def test_placeholders_lookups_and_digests_are_no_secrets(bench: Bench, line: str) -> None:
    bench.change("a.py", "", line + "\n")
    assert bench.review("secrets") == []


@pytest.mark.parametrize("kind", [k for k in KEYS if k != "private-key"])
def test_no_other_finding_quotes_a_secret_law_6(bench: Bench, kind: str) -> None:
    code = f"import os\n\n\ndef f(a=['{KEYS[kind]}']):\n    os.system('x {KEYS[kind]}' + a)  # nosec\n"
    bench.change("a.py", "import os\n", code)
    bench.change("requirements.txt", "", f"a @ git+https://user:{KEYS[kind]}@x.org/a.git\n")
    found = collect(bench.review("ruff", "bandit", "unsafe", "risky", "secrets"))
    assert {"ruff/B006", "unsafe/shell", "review/suppression", "risky/dependency-url"} <= {f.rule for f in found} | {
        "unsafe/shell" if f.rule == "bandit/B605" else "" for f in found
    }
    assert KEYS[kind] not in msgspec.json.encode(found).decode()


def test_a_model_that_quotes_a_secret_does_not_publish_it_law_6(bench: Bench) -> None:
    bench.change("a.py", "", f"DB_PASSWORD = '{PASSWORD}'\n")
    claim = {"path": "a.py", "line": 1, "severity": "high", "message": f"password = '{PASSWORD}' leaks", "quote": PASSWORD}
    found, dropped, _ = validate([claim], bench.pull, "")
    assert len(found) == 1 and dropped == 0
    assert PASSWORD not in msgspec.json.encode(found).decode()


def test_a_moved_secret_is_old_and_another_one_in_its_place_is_new(bench: Bench) -> None:
    key = KEYS["github-token"]
    bench.change("a.py", f"A = '{key}'\n", "")
    bench.change("b.py", None, f"x = 1\nA = '{key}'\n")
    assert bench.review("secrets") == []
    bench.files.clear()
    bench.change("a.py", f"A = '{key}'\n", f"A = '{key[:-4]}Zz9q'\n")
    assert len(bench.review("secrets")) == 1


def test_secrets_on_unchanged_lines_are_not_the_changes_fault(bench: Bench) -> None:
    bench.change("a.py", f"A = '{KEYS['npm-token']}'\nb = 1\n", f"A = '{KEYS['npm-token']}'\nb = 2\n")
    assert bench.review("secrets") == []


def test_secrets_in_a_file_too_big_for_hunks_are_found_by_comparing_inside(bench: Bench) -> None:
    lines = [f"line {n}" for n in range(50_000)]
    old, new = "\n".join(lines), "\n".join([*lines[:40_000], f"k = '{KEYS['jwt']}'", *lines[40_000:]])
    bench.put(bench.base, "big.txt", old)
    bench.put(bench.head, "big.txt", new)
    from quarterdeck.workflows.review.model import FileChange

    bench.files.append(FileChange("big.txt", "modified", added=1, truncated=True))
    assert [(f.rule, f.line) for f in bench.review("secrets")] == [("secrets/jwt", 40_001)]
