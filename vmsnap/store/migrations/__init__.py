"""Alembic's scripts: how a database comes to the present schema."""
