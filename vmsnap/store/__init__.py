"""The database: schema, migrations, catalog of rows, contents by SHA-256."""
