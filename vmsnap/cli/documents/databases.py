"""The database as the JSON that scripts read."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmsnap.model import DatabaseStatus, JsonObject


def database(status: "DatabaseStatus") -> "JsonObject":
    """Describe the database; its URL carries no password."""
    return {
        "url": status.url,
        "exists": status.exists,
        "revision": status.revision,
        "expected": status.expected,
        "is_current": status.is_current,
    }
