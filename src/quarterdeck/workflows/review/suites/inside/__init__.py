"""Scripts that run inside the sandbox, with the project's interpreter and only its standard library (and pytest).

They are handed over as text (`python -c`), so nothing of Quarterdeck need be importable inside.
"""

from importlib.resources import files


def source(name: str) -> str:
    """The text of the script `name`."""
    return files(__package__).joinpath(f"{name}.py").read_text("utf-8")
