"""The default channel: one JSON file per delivery in a folder of HOME."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quarterdeck.protocol.errors import StoreError


class FileChannel:
    """Writes `FOLDER/KEY.json` atomically. The same key twice is one file."""

    direct = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, body: Mapping[str, Any], dedupe_key: str) -> str:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", dedupe_key).lstrip(".")[:120] or "delivery"
        target = self._folder / f"{name}.json"
        temp = target.with_name(f".{name}.{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            temp.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            temp.rename(target)
        except OSError as error:
            raise StoreError(f"{target} could not be written: {error.strerror}.", hint="Free space, then resume the run.") from error
        return str(target)
