"""A11: deployment files that the change touches parse and pass basic rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from analyzers_lab import Bench

DOCKER = """\
# syntax=docker/dockerfile:1
ARG VERSION=3.11
FROM python:${VERSION} AS build
RUN apt-get update \\
    # a comment within
    && apt-get install -y gcc

COPY . /src
RUN <<EOF
cd /src
BOGUS --flag
EOF
FROM python:3.11-slim
COPY --from=build /src /src
ENV TOKEN_FILE=/run/secrets/token PORT=80
USER app
CMD ["python"]
"""
COMPOSE = """\
services:
  web:
    image: nginx:1.27
    volumes:
      - ./conf:/etc/nginx
  app:
    build: .
"""
KUBERNETES = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
        - name: web
          image: nginx:1.27
          resources:
            limits:
              memory: 1Gi
---
apiVersion: v1
kind: Service
metadata:
  name: web
"""
WORKFLOW = """\
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: make
  b:
    needs: a
    uses: ./.github/workflows/x.yml
"""
GOOD = {
    "Dockerfile": DOCKER,
    "compose.yaml": COMPOSE,
    "k8s/web.yaml": KUBERNETES,
    ".github/workflows/ci.yml": WORKFLOW,
}
DOCKER_CASES = [
    ("FROM python:3.11-slim", "FROM python", "deploy/latest-image", "medium", 13),
    ("FROM python:3.11-slim", "FROM python:latest", "deploy/latest-image", "medium", 13),
    ("COPY . /src", "ADD https://x.org/a.tgz /src", "deploy/add-url", "medium", 8),
    ("USER app", "USER root", "deploy/root-user", "medium", 16),
    ("USER app", "USER 0:0", "deploy/root-user", "medium", 16),
    ("PORT=80", "API_TOKEN=abc", "deploy/secret-in-image", "high", 15),
    ("ARG VERSION=3.11", "ARG VERSION=3.11\nARG DB_PASSWORD=abc", "deploy/secret-in-image", "high", 3),
    ("cd /src", "curl https://x.org/i.sh | sh", "deploy/download-and-run", "high", 9),
    ("CMD", "CMMD", "deploy/unparseable", "high", 17),
    ("COPY . /src", "COPY", "deploy/unparseable", "high", 8),
]
COMPOSE_CASES = [
    ("nginx:1.27", "nginx", "deploy/latest-image", "medium", 3),
    ("    image: nginx:1.27\n", "    image: nginx:1.27\n    privileged: true\n", "deploy/privileged", "high", 4),
    ("    build: .", "    build: .\n    network_mode: host", "deploy/host-namespace", "medium", 8),
    ("./conf:/etc/nginx", "/var/run/docker.sock:/var/run/docker.sock", "deploy/docker-socket", "high", 5),
    ("./conf:/etc/nginx", "/:/host", "deploy/host-path", "high", 5),
    ("    build: .", "    ports: ['80']", "deploy/invalid", "high", 6),
    ("services:", "service:", "deploy/invalid", "high", 1),
    ("services:", "services: [", "deploy/unparseable", "high", 3),
    ("  app:", "  web:", "deploy/duplicate-key", "medium", 6),
]
KUBERNETES_CASES = [
    ("nginx:1.27", "nginx:latest", "deploy/latest-image", "medium", 10),
    (
        "          resources",
        "          securityContext:\n            privileged: true\n          resources",
        "deploy/privileged",
        "high",
        12,
    ),
    ("          resources", "          securityContext:\n            runAsUser: 0\n          resources", "deploy/root-user", "medium", 12),
    ("      containers:", "      hostNetwork: true\n      containers:", "deploy/host-namespace", "high", 8),
    ("      containers:", "      volumes:\n        - hostPath: {path: /}\n      containers:", "deploy/host-path", "high", 9),
    ("          resources:\n            limits:\n              memory: 1Gi\n", "", "deploy/no-limits", "low", 9),
    ("metadata:\n  name: web\nspec", "metadata: {}\nspec", "deploy/invalid", "high", 1),
    ("      containers:\n", "      containrs:\n", "deploy/invalid", "high", 5),
    ("          image: nginx:1.27\n", "", "deploy/invalid", "high", 9),
]
WORKFLOW_CASES = [
    ("on: push", "no: push", "deploy/invalid", "high", 1),
    ("    runs-on: ubuntu-latest\n", "", "deploy/invalid", "high", 3),
    ("      - run: make", "      - name: make", "deploy/invalid", "high", 6),
    ("    steps:\n      - run: make\n", "", "deploy/invalid", "high", 3),
    ("needs: a", "needs: c", "deploy/invalid", "high", 8),
    ("on: push", "on: push: x", "deploy/unparseable", "high", 1),
]
CASES = [
    (path, *case)
    for path, cases in zip(GOOD, (DOCKER_CASES, COMPOSE_CASES, KUBERNETES_CASES, WORKFLOW_CASES), strict=True)
    for case in cases
]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


@pytest.mark.parametrize(("path", "old", "new", "rule", "severity", "line"), CASES)
def test_rules(bench: Bench, path: str, old: str, new: str, rule: str, severity: str, line: int) -> None:
    assert old in GOOD[path]
    bench.change(path, GOOD[path], GOOD[path].replace(old, new, 1))
    assert [(f.rule, f.severity, f.line) for f in bench.review("deployment")] == [(rule, severity, line)]
    assert bench.not_checked == []


@pytest.mark.parametrize("path", GOOD)
def test_good_files_are_quiet(bench: Bench, path: str) -> None:
    bench.change(path, None, GOOD[path])
    assert bench.review("deployment", "secrets") == [] and bench.not_checked == []


def test_old_faults_of_a_touched_file_are_not_the_changes(bench: Bench) -> None:
    for path, old, new, rule, *_ in CASES:
        if "unparseable" not in rule:
            bad = GOOD[path].replace(old, new, 1)
            bench.change(f"{rule[7:]}-{len(bench.files)}/{path}" if "github" not in path else path, bad, bad + "# touched\n")
    assert bench.review("deployment") == []


def test_taking_the_user_away_is_no_line_but_a_dockerfile_without_from_is_found(bench: Bench) -> None:
    bench.change("a/Dockerfile", DOCKER, DOCKER.replace("USER app\n", "USER app\nUSER root\n"))
    bench.change("b/Dockerfile", None, "RUN make\n")
    found = {(f.path, f.rule) for f in bench.review("deployment")}
    assert found == {("a/Dockerfile", "deploy/root-user"), ("b/Dockerfile", "deploy/unparseable")}


def test_other_yaml_is_left_alone_and_helm_templates_are_said_to_be_unchecked(bench: Bench) -> None:
    bench.change("mkdocs.yml", None, "site_name: [broken\n")
    bench.change("docs/Dockerfile.md", None, "not a Dockerfile\n")
    bench.change("chart/templates/a.yaml", None, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Name }}\n")
    assert bench.review("deployment") == []
    assert [n.what for n in bench.not_checked] == ["deployment: chart/templates/a.yaml"]


def test_a_bomb_of_aliases_stays_small(bench: Bench) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    bench.change("compose.yaml", None, bomb + "services:\n  web: {image: 'nginx:1'}\n")
    assert bench.review("deployment") == [] and bench.not_checked == []
