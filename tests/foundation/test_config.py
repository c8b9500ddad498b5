"""Configuration: flags > environment > file > defaults, each with its origin, and wrong input named (contract, A23)."""

from __future__ import annotations

from pathlib import Path

import pytest

from quarterdeck.config import load_config
from quarterdeck.protocol.errors import ConfigError


def test_each_value_knows_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "quarterdeck.toml").write_text('model = "ollama/file"\nlease_s = 5\n[sandbox]\npids = 99\n')
    env = {"QUARTERDECK_LEASE": "7", "QUARTERDECK_POLICY": "ask"}
    config = load_config(tmp_path, {"policy": "locked-down"}, env)
    found = {name: (value.value, value.origin.split(" ")[0]) for name, value in config.values.items()}
    assert found["policy"] == ("locked-down", "flag")
    assert found["lease_s"] == (7.0, "environment")
    assert found["model"] == ("ollama/file", "file")
    assert found["sandbox.pids"] == (99, "file")
    assert found["budget_usd"] == (2.0, "default")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modle = 'x'", "Did you mean 'model'"),
        ("budget_usd = 'much'", "budget_usd must be a float"),
        ("lease_s = -1", "lease_s"),
        ("sandbox.pids = true", "sandbox.pids must be a int"),
        ("[review]\nfail_on = 'low'", "belongs to a repository"),
        ("model = ", "cannot be read"),
    ],
)
def test_wrong_input_names_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "quarterdeck.toml").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(tmp_path, env={})
    assert "quarterdeck.toml" in caught.value.message
    assert caught.value.hint
