"""The usual loop: one connection, and for each schema its search_path, its version table, a transaction of its own."""

import json
from pathlib import Path

import sqlalchemy as sa

from alembic import context

departments = json.loads((Path(__file__).resolve().parent / "departments.json").read_text())
engine = sa.create_engine("postgresql+psycopg://", poolclass=sa.pool.NullPool)
with engine.connect() as connection:
    for department in departments:
        schema = f"{department}_tenant"
        connection.exec_driver_sql(f'SET search_path TO "{schema}"')
        connection.commit()
        connection.dialect.default_schema_name = schema
        context.configure(connection=connection, version_table_schema=schema)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
