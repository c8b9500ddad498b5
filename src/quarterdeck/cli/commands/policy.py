"""`quarterdeck policy show`: the policy in force (A17)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..face import Face
from ..options import Home, Json, NoColor, Policy
from ..words import clean, columns


def add(app: typer.Typer) -> None:
    group = typer.Typer(
        help="The policy that decides every action.\n\nExample: quarterdeck policy show", no_args_is_help=True, rich_markup_mode=None
    )
    group.callback()(lambda: None)
    group.command("show")(show)
    app.add_typer(group, name="policy")


def show(
    policy: Policy = None,
    text: Annotated[bool, typer.Option("--text", help="Print the Cedar text itself, to copy and change.")] = False,
    home: Home = None,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Show the policy in force, or check a file of your own: each policy's id, what it does and why.

    \b
    Examples:
      quarterdeck policy show
      quarterdeck policy show --text > my.cedar
      quarterdeck policy show --policy my.cedar
    """
    from quarterdeck.config import load_config
    from quarterdeck.policy import load_bundle

    from ..driving import flags_of

    face = Face(home, json=json, no_color=no_color)
    config = load_config(face.home, flags_of(policy=policy))
    file = config["policy"]
    bundle = load_bundle(Path(file).expanduser() if file else None)
    rows = [{"id": p.id, "effect": p.effect, "obligation": p.obligation, "reason": p.reason, "line": p.line} for p in bundle.policies]
    face.document(
        {
            "schema": "quarterdeck.policy/1",
            "name": bundle.name,
            "sha256": bundle.digest,
            "origin": config.values["policy"].origin,
            "policies": rows,
        }
    )
    if text:
        face.out(bundle.text.rstrip("\n"))
        return 0
    face.out(f"{clean(bundle.name)}, sha256 {bundle.digest} ({config.values['policy'].origin}); what none of these permits is denied")
    for line in columns([(str(r["id"]), str(r["effect"]), str(r["obligation"]), clean(str(r["reason"]))) for r in rows]):
        face.out(line)
    return 0
