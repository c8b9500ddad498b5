"""Requests for the gate, short enough for tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quarterdeck.policy import CedarGate, load_bundle
from quarterdeck.protocol.actions import Resource
from quarterdeck.protocol.ports import Budget, GateRequest

Ask = Callable[..., GateRequest]


@pytest.fixture(scope="session")
def gate() -> CedarGate:
    return CedarGate(load_bundle())


@pytest.fixture(scope="session")
def ask() -> Ask:
    def make(kind: str, resource: object, role: str = "agent", **other: Any) -> GateRequest:
        known: dict[str, Any] = {
            "project": "default",
            "run": "run_1",
            "principal": f"{role}:test",
            "role": role,
            "actor": "user:ana",
            "trust": "operator",
            "kind": kind,
            "resource": resource,
            "args": {},
            "labels": (),
            "step": "test",
            "budget": Budget(0, 1000),
        }
        return GateRequest(**{**known, **other})

    return make


@pytest.fixture(scope="session")
def things() -> dict[str, Resource]:
    """One resource of each sort, as other rooms send them."""
    local = {"kind": "local", "isPublic": False}
    return {
        "model": Resource("Model", "openai/gpt", (), {"provider": "openai", "local": False}),
        "local model": Resource("Model", "ollama/x", (), {"provider": "ollama", "local": True}),
        "sandbox": Resource("Sandbox", "env_1"),
        "file": Resource("Path", "src/a.py", ("workspace",)),
        "outside": Resource("Path", "/etc/passwd", ("outside",)),
        "ci": Resource("Path", ".github/workflows/ci.yml", ("workspace", "ci-config")),
        "step": Resource("Tool", "step:intake", ("steps",)),
        "environment": Resource("Tool", "environment.create", ("environment",)),
        "reader": Resource("Tool", "read_file", (), {"readOnly": True, "name": "read_file"}),
        "tool": Resource("Tool", "deploy", (), {"readOnly": False, "name": "deploy", "effect": "never"}),
        "person": Resource("Tool", "run.cancel", ("operator",)),
        "memory": Resource("Memory", "repo", (), {"scope": "repository", "kind": "finding"}),
        "other memory": Resource("Memory", "me", (), {"scope": "user", "kind": "note"}),
        "report": Resource("Channel", "report", ("report",), local),
        "tickets": Resource("Channel", "tickets", ("outbox",), local),
        "forge": Resource("Channel", "github", ("forge",), {"kind": "forge", "isPublic": True}),
        "host": Resource("Host", "example.org", (), {"name": "example.org", "port": 443}),
    }
