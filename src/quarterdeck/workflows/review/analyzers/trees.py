"""Where the two trees lie inside the sandbox. One place, so that tests can point the real tools at folders of their own."""

from __future__ import annotations

HEAD = "/workspace/head"
BASE = "/workspace/base"
