"""The database: schema, migrations, the catalog of rows, and contents by SHA-256."""
