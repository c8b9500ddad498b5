"""`quarterdeck models`: which providers can be asked, and whether one model works (A18)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..face import Face
from ..options import Home, Json, NoColor
from ..words import clean, columns, seconds, usd

if TYPE_CHECKING:
    from quarterdeck.models import CheckReport


def add(app: typer.Typer) -> None:
    group = typer.Typer(help="Model providers.\n\nExample: quarterdeck models list", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_)
    group.command("check")(check)
    app.add_typer(group, name="models")


def list_(home: Home = None, json: Json = False, no_color: NoColor = False) -> int:
    """List the providers that --model may name: presets, and those of quarterdeck.toml. Keys are never shown.

    \b
    Example:
      quarterdeck models list
    """
    import os

    from quarterdeck.config import load_config
    from quarterdeck.models import providers_from

    face = Face(home, json=json, no_color=no_color)
    providers = providers_from(load_config(face.home).tables.get("providers", {}))
    rows = [
        {
            "provider": p.name, "protocol": p.protocol, "base_url": p.base_url, "api_key_env": p.api_key_env,
            "key_present": bool(p.api_key_env and os.environ.get(p.api_key_env)), "local": p.local,
        }
        for p in providers.values()
    ]  # fmt: skip
    face.document({"schema": "quarterdeck.models/1", "providers": rows})
    lines = [("MODEL", "PROTOCOL", "ADDRESS", "KEY", "COST")]
    for row in rows:
        key = f"${row['api_key_env']} {'is set' if row['key_present'] else 'is not set'}" if row["api_key_env"] else "none needed"
        lines.append(
            (
                f"{row['provider']}/NAME",
                str(row["protocol"]),
                clean(str(row["base_url"])),
                key,
                "0 (local)" if row["local"] else "by list price",
            )
        )
    for line in columns(lines):
        face.out(line)
    return 0


def check(
    name: Annotated[str, typer.Argument(metavar="PROVIDER/NAME", help="The model.")],
    home: Home = None,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Make one streamed tool call (a fraction of a cent) and say what works: answer, streaming, tools, usage, latency, price.

    Exit codes: 0 all works; 1 something does not; 2 it could not be asked.

    \b
    Examples:
      quarterdeck models check ollama/NAME
      OPENAI_API_KEY=... quarterdeck models check openai/NAME
    """
    import asyncio

    import msgspec

    from quarterdeck.app import Runtime

    face = Face(home, json=json, no_color=no_color)

    async def main() -> CheckReport:
        async with Runtime(face.home) as runtime:
            return await runtime.check_model(name)

    found = asyncio.run(main())
    face.document({"schema": "quarterdeck.models-check/1", **msgspec.to_builtins(found)})
    for one in found.checks:
        face.out(f"{face.style('✓' if one.ok else '✗', 'green' if one.ok else 'red')} {one.name}: {clean(one.words)}")
    if found.first_event_s is not None and found.total_s is not None:
        face.out(f"first piece after {seconds(found.first_event_s)}, all after {seconds(found.total_s)}")
    if found.cost_microusd is not None:
        face.out(f"this call cost {usd(found.cost_microusd)}")
    return 0 if found.ok else 1
