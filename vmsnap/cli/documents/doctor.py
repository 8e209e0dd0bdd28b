"""What doctor finds and mends as the JSON that scripts read."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmsnap.engine.doctor import Mended
    from vmsnap.engine.findings.finding import Finding
    from vmsnap.model import JsonObject


def finding(found: "Finding") -> "JsonObject":
    """Describe a finding; `fix` says whether --fix mends it: surely, asks, by hand."""
    return {
        "code": found.kind.code,
        "severity": found.kind.severity.value,
        "fix": found.kind.cure.value.replace(" ", "_"),
        "domain": found.domain_name,
        "domain_uuid": found.domain_id,
        "subject": found.subject,
        "message": found.message,
        "meaning": found.kind.meaning,
        "command": found.command,
    }


def mended(result: "Mended") -> "JsonObject":
    """Say what became of a finding that was to be mended."""
    problem = result.problem
    return {
        **finding(result.finding),
        "is_mended": problem is None,
        "problem": None if problem is None else {"code": problem.code, "message": problem.message},
    }
