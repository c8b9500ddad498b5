"""The sandbox: environments that commands run in. The driver `local` isolates with bubblewrap; each environment is held by a
shim on the host (`shim/`), with an agent as pid 1 inside (`inside/`). Nothing inside is authority, and no process inside has
host uid 0. The room's entrance is `LocalDriver`; `detect` says what this host enforces, `toolbox` what the runtime brings along.
"""

from .detect import detect
from .local import LocalDriver
from .toolbox import toolbox

__all__ = ["LocalDriver", "detect", "toolbox"]
