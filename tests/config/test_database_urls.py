"""Database URLs are shown without their passwords."""

import pytest

from vmsnap.config import has_password, hidden

SECRET = "s3cr3t"  # noqa: S105 - what the tests look for


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////srv/a:b@c.db", "sqlite:////srv/a:b@c.db"),
        ("mysql://vmsnap@db:3306/x", "mysql://vmsnap@db:3306/x"),
        ("mysql://db:3306/x?ssl_ca=/ca", "mysql://db:3306/x?ssl_ca=/ca"),
        ("mysql://[::1]:3306/x", "mysql://[::1]:3306/x"),
        (f"mysql://vmsnap:{SECRET}@db/x", "mysql://vmsnap:***@db/x"),
        (f"mysql://:{SECRET}@db/x", "mysql://:***@db/x"),
        (f"mysql://u@corp:{SECRET}@db/x", "mysql://u@corp:***@db/x"),
        (f"mysql://u:a@{SECRET}/?b@db/x", "mysql://u:***@db/x"),
        (f"mysql://u:{SECRET}", "mysql://u:***"),
        (f"mysql://u@h:{SECRET}/x", "mysql://u@h:***/x"),
        (f"mysql://h/x?user=u&passwd={SECRET}&a=b", "mysql://h/x?user=u&passwd=***&a=b"),
    ],
)
def test_a_hidden_url_shows_all_but_the_password(url, shown):
    """H50: however it is written."""
    assert hidden(url) == shown
    assert has_password(url) is (SECRET in url)
