"""Claims: the sentences of a report, each tied to the artifact that shows it (law 8)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any

from quarterdeck.protocol.canonical import sha256
from quarterdeck.protocol.errors import BadInput

Json = dict[str, Any]


def step_of(key: str) -> str:
    """Escape one step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


class Claims:
    """Collects claims. A claim about an artifact that is not there cannot be made: `add` raises BadInput."""

    def __init__(self, artifacts: Mapping[str, bytes]) -> None:
        self._artifacts = artifacts
        self._parsed: dict[str, Any] = {}
        self._digests: dict[str, str] = {}
        self._claims: dict[str, Json] = {}

    @property
    def names(self) -> Set[str]:
        """Names of the artifacts that exist."""
        return self._artifacts.keys()

    def add(self, id: str, text: str, artifact: str, pointer: str = "") -> str:
        """Record one sentence and return its id. A pointer into a field that the artifact left out is shortened."""
        if artifact not in self._artifacts:
            raise BadInput(f"nothing shows {text!r}: artifact {artifact} is missing", param=artifact, hint="run the review again")
        if id in self._claims:
            raise ValueError(f"two claims are called {id}")
        if artifact not in self._digests:
            self._digests[artifact] = sha256(self._artifacts[artifact])
        where = self._resolve(artifact, pointer) if pointer.startswith("/") else pointer
        self._claims[id] = {"id": id, "text": text, "artifact": artifact, "pointer": where, "sha256": self._digests[artifact]}
        return id

    def all(self) -> list[Json]:
        """Return the claims in the order in which they were made."""
        return list(self._claims.values())

    def _resolve(self, artifact: str, pointer: str) -> str:
        if artifact not in self._parsed:
            self._parsed[artifact] = json.loads(self._artifacts[artifact])
        node, kept = self._parsed[artifact], ""
        for step in pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
                node = node[int(key)]
            else:
                break
            kept += "/" + step
        return kept
