"""The model room: asks models of any provider over two wires, Chat Completions and Responses.

What goes in and out is protocol/models.py: Responses items as plain data. `Models` is the ModelPort; it takes a permit before the first
byte, retries only what cannot have been billed, prices every call before it is made, and never shows a key. The way of a call is
`client.py` (the entrance), `chat.py` or `responses.py` (the body), `transport.py` (HTTP, back-off), `sse.py` (events), and back through
`chat_stream.py` or `responses.py` (items). `providers.py`, `profiles.py` and `pricing.py` are what is known of models; `faults.py` is
what is said when something fails; `check.py` is `quarterdeck models check`.
"""

from .check import Check, CheckReport, check
from .client import Models
from .pricing import prices_from
from .profiles import Profile, profile_for
from .providers import PRESETS, ProviderConfig, providers_from
from .transport import Timeouts

__all__ = [
    "PRESETS",
    "Check",
    "CheckReport",
    "Models",
    "Profile",
    "ProviderConfig",
    "Timeouts",
    "check",
    "prices_from",
    "profile_for",
    "providers_from",
]
