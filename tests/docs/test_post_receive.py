"""docs/post-receive.md: the script of that page, as a hook of a bare repository, at a real push (A26)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from docs_kit import BIN, SECRET, blocks


def git(cwd: Path, *words: str) -> str:
    """Run git as a person would; what the hook prints comes back on stderr."""
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(["git", *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"git {words}: {done.stderr}"
    return done.stdout + done.stderr


def commit(clone: Path, name: str, content: str) -> None:
    (clone / name).write_text(content)
    git(clone, "add", name)
    git(clone, "commit", "-q", "-m", f"docs: {name}")


def test_a_push_is_reviewed(tmp_path: Path, own_home: Path) -> None:
    [script] = [b for b in blocks("bash") if b.page == "docs/post-receive.md"]
    bare, clone = tmp_path / "harbor.git", tmp_path / "clone"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    hook = bare / "hooks" / "post-receive"
    hook.write_text(script.text)
    hook.chmod(0o755)
    git(tmp_path, "clone", "-q", str(bare), str(clone))
    git(clone, "checkout", "-q", "-b", "main")

    commit(clone, "README.md", "# Harbor\n")
    assert "review of" not in git(clone, "push", "-q", "origin", "main")  # nothing to compare with

    git(clone, "checkout", "-q", "-b", "feature")
    commit(clone, "notes.md", f"The key is {SECRET}.\n")
    said = git(clone, "push", "-q", "origin", "feature")
    assert "review of feature: exit code 1" in said
    assert "1 finding at or above high" in said
    [report] = (own_home / "runs").glob("*/report/report.json")

    git(clone, "checkout", "-q", "main")
    commit(clone, "README.md", "# Harbor\n\nShips.\n")
    assert "review of main: exit code 0" in git(clone, "push", "-q", "origin", "main")
    assert "review of" not in git(clone, "push", "-q", "origin", "--delete", "feature")
    assert report.exists()
