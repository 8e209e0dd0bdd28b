"""Run migrations on the connection that revisions.py hands over; alembic executes this file."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    # The transaction is the caller's: on SQLite it holds the whole upgrade.
    transactional_ddl=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
