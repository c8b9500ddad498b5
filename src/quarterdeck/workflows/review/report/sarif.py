"""`findings.sarif`: the findings as SARIF 2.1.0, for code scanning views and editors."""

from __future__ import annotations

from urllib.parse import quote

from ..paths import to_bytes
from .claims import Json
from .text import visible

_LEVEL = {"high": "error", "medium": "warning", "low": "note"}


def sarif(doc: Json) -> Json:
    """Return one SARIF run. A dismissed finding is kept as a suppressed result; what was not checked is a notification."""
    rules: dict[str, Json] = {}
    for finding in doc["findings"]:
        rules.setdefault(_rule_id(finding), _rule(finding))
    index = {id: n for n, id in enumerate(rules)}
    reasons = {d["fingerprint"]: d for d in doc["dismissed"]}
    run: Json = {
        "tool": {"driver": {"name": "quarterdeck", "semanticVersion": doc["run"]["quarterdeck"], "rules": list(rules.values())}},
        "automationDetails": {"id": f"quarterdeck/review/{doc['run']['id']}"},
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the reviewed repository."}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(doc)],
        "results": [_result(f, index, reasons.get(f["fingerprint"])) for f in doc["findings"]],
    }
    return {"version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "runs": [run]}


def uri(path: str) -> str:
    """Return the path as a relative URI reference: bytes outside the unreserved set are percent-encoded."""
    encoded = quote(to_bytes(path), safe="/")
    return "%2F" + encoded[1:] if encoded.startswith("/") else encoded


def _rule_id(finding: Json) -> str:
    return f"{finding['tool']}/{finding['rule']}"


def _rule(finding: Json) -> Json:
    rule: Json = {
        "id": _rule_id(finding),
        "shortDescription": {"text": visible(f"{finding['tool']} {finding['rule']}")},
        "defaultConfiguration": {"level": _LEVEL[finding["severity"]]},
        "properties": {"tags": [finding["tool"], finding["source"]]},
    }
    if finding["help"]:
        rule["help"] = {"text": visible(finding["help"])}
    return rule


def _result(finding: Json, index: dict[str, int], dismissal: Json | None) -> Json:
    result: Json = {
        "ruleId": _rule_id(finding),
        "ruleIndex": index[_rule_id(finding)],
        "level": _LEVEL[finding["severity"]],
        "message": {"text": visible(finding["message"]) or "(no message)"},
        "partialFingerprints": {"quarterdeck/v1": finding["fingerprint"]},
        "properties": {"severity": finding["severity"], "evidence": f"artifacts/{finding['artifact']}"},
    }
    if finding["path"] and ".." not in finding["path"].split("/"):
        place: Json = {"artifactLocation": {"uri": uri(finding["path"]), "uriBaseId": "%SRCROOT%"}}
        if finding["line"] > 0:
            place["region"] = {"startLine": finding["line"], "endLine": max(finding["line"], finding["end_line"])}
            if finding["evidence"]:
                place["region"]["snippet"] = {"text": visible(finding["evidence"])}
        result["locations"] = [{"physicalLocation": place}]
    if finding["dismissed"] and dismissal:
        because = visible(f"dismissed by {dismissal['who']}" + (f": {dismissal['reason']}" if dismissal["reason"] else ""))
        result["suppressions"] = [{"kind": "external", "justification": because}]
    return result


def _invocation(doc: Json) -> Json:
    notes = [
        {"level": "note", "message": {"text": visible(f"Not checked: {n['what']}: {n['why']}")}, "descriptor": {"id": "not-checked"}}
        for n in doc["not_checked"]
    ]
    return {
        "executionSuccessful": doc["verdict"]["state"] != "could-not-run",
        "exitCode": doc["verdict"]["exit_code"],
        "toolExecutionNotifications": notes,
    }
