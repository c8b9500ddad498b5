"""`quarterdeck init` and `quarterdeck config show`: the configuration of one HOME (A23)."""

from __future__ import annotations

import typer

from ..face import Face
from ..options import Home, Json, NoColor
from ..words import clean, columns

HEAD = """# Quarterdeck's configuration. Flags win over environment variables, those over this file, this over the defaults.
# Every line is commented out and shows its default.
"""
TAIL = """
# Another model server. Then: --model mine/NAME
# [providers.mine]
# protocol = "chat"            # or "responses"
# base_url = "http://localhost:8000/v1"
# api_key_env = "MINE_API_KEY" # the variable that holds the key; the key itself never goes into a file
# local = true                 # your own machine: each call costs an explicit 0

# The price of a model that has no public list price, in US dollars per million tokens.
# [prices."mine/NAME"]
# input = 0.50
# cached = 0.10
# output = 2.00
"""


def add(app: typer.Typer) -> None:
    app.command("init")(init)
    group = typer.Typer(help="The configuration in force.\n\nExample: quarterdeck config show", no_args_is_help=True, rich_markup_mode=None)
    group.callback()(lambda: None)
    group.command("show")(show)
    app.add_typer(group, name="config")


def template() -> str:
    """A commented quarterdeck.toml with every setting."""
    import json

    from quarterdeck.config import SETTINGS

    lines, tables = [HEAD], dict[str, list[str]]()
    for name, setting in SETTINGS.items():
        table, dot, key = name.rpartition(".")
        text = f"\n# {setting.help} (${setting.env})\n# {key if dot else name} = {json.dumps(setting.default)}\n"
        if dot:
            tables.setdefault(table, []).append(text)
        else:
            lines.append(text)
    for table, texts in tables.items():
        lines += [f"\n# [{table}]", *texts]
    return "".join(lines) + TAIL


def init(home: Home = None, json: Json = False, no_color: NoColor = False) -> int:
    """Write a commented quarterdeck.toml into HOME. An existing one is never touched.

    \b
    Example:
      quarterdeck init
    """
    from quarterdeck.config import FILE
    from quarterdeck.protocol.errors import BadInput, StoreError

    face = Face(home, json=json, no_color=no_color)
    path = face.home / FILE
    try:
        face.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError as error:
        raise BadInput(
            f"{path} exists already.", hint="Edit it, or move it away first. `quarterdeck config show` says what is in force."
        ) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", hint="Choose another HOME with --home DIR.") from error
    face.document({"schema": "quarterdeck.init/1", "path": str(path)})
    face.out(f"written: {path}")
    return 0


def show(home: Home = None, json: Json = False, no_color: NoColor = False) -> int:
    """Show every setting in force and where it comes from.

    \b
    Examples:
      quarterdeck config show
      quarterdeck config show --json
    """
    from quarterdeck.config import SETTINGS, load_config

    face = Face(home, json=json, no_color=no_color)
    config = load_config(face.home)
    rows = [{"name": v.name, "value": v.value, "origin": v.origin, "help": SETTINGS[v.name].help} for v in config.values.values()]
    tables = {name: sorted(table) for name, table in config.tables.items()}
    face.document({"schema": "quarterdeck.config/1", "home": str(face.home), "settings": rows, "tables": tables})
    face.out(f"HOME {face.home}")
    for line in columns([(str(r["name"]), repr(r["value"]), clean(str(r["origin"])), str(r["help"])) for r in rows]):
        face.out(line)
    for name, keys in tables.items():
        face.out(f"[{name}]: {', '.join(map(clean, keys))}")
    return 0
