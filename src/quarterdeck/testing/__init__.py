"""Test your agents without a model: a real HTTP server that answers as a model would, from a script.

    from quarterdeck.testing import ScriptedModel, call, text

    with ScriptedModel([call("read_file", path="setup.py"), text("It is fine.")]) as server:
        ...  # point any client at server.base_url; server.requests holds what came

It speaks `/v1/chat/completions` and `/v1/responses`, streaming and not, and `/v1/models`; it refuses requests that the real
endpoints refuse (a tool output without its call, a call without its output). A turn may also be a fault: see `Reply`. Standard library
and this package only. `wire.py` turns replies into bodies and events, `checks.py` judges and reads requests, `server.py` serves.
"""

from .checks import tool_outputs, user_text
from .replies import Call, Reply, Script, call, calls, fail, text
from .server import Received, ScriptedModel
from .wire import chat_events, responses_events

__all__ = [
    "Call",
    "Received",
    "Reply",
    "Script",
    "ScriptedModel",
    "call",
    "calls",
    "chat_events",
    "fail",
    "responses_events",
    "text",
    "tool_outputs",
    "user_text",
]
