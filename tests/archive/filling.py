"""Rows that are hard to carry, in every table of a department; and all of them, as they are."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from tests.conftest import Database

#: What COPY has to spell out: every control character but NUL, its own marks, other alphabets, what needs four bytes.
ODD = "".join(map(chr, range(1, 32))) + "\\N\\.\n\\.\n\t\\x41 '\"\x7f\u0085\u2028 ß 漢字 🜁 \ufeff%s {} $1 \\"
BINARY = bytes(range(256)) * 4
LARGE = "Zeile\tmit \\ und 漢字\n" * 50_000  # 1.2 MB

_EVERYTHING = """
    SELECT class.relname::text, array_agg(field.attname::text ORDER BY field.attnum)
    FROM pg_class AS class JOIN pg_attribute AS field ON field.attrelid = class.oid
    WHERE class.relnamespace = to_regnamespace(%s) AND class.relkind = 'r' AND class.relname <> 'alembic_version'
      AND field.attnum > 0 AND NOT field.attisdropped AND field.attname <> 'department'
    GROUP BY class.relname ORDER BY class.relname
"""


def fill(database: Database, department_id: str) -> None:
    """Put a row into every table, and besides what is hard to carry into some."""
    schema = f"{department_id}_tenant"
    with database.connect() as connection, connection.transaction():
        planted = connection.execute("SELECT federation.plant_probe_rows(%s)", (department_id,)).fetchone()
        connection.execute("RESET ROLE")
        assert planted is not None
        assert len(planted[0]) == 25, planted
        for statement, values in _HARD:
            connection.execute(sql.SQL(statement).format(schema=sql.Identifier(schema)), values)


_HARD: list[tuple[Any, dict[str, Any]]] = [
    (
        """
        INSERT INTO {schema}.drive_document_repository
            (drive_file_id, drive_folder_id, file_name, extracted_text, updated_at)
        VALUES ('large', 'f', %(odd)s, %(large)s, '2001-02-03 04:05:06.789012+00')
        """,
        {"odd": ODD, "large": LARGE},
    ),
    # As an older parser might have left it: it has to come back, not to be made anew.
    ("UPDATE {schema}.drive_document_repository SET search_vector = 'left:1A ''by'':2B another:3' WHERE id > 0", {}),
    (
        """
        INSERT INTO {schema}.api_keys (service_name, api_key_name, api_key_encrypted, expires_at)
        VALUES ('s', '', %(binary)s, 'infinity'), ('s', 'empty', '', '0044-03-15 12:00:00.000001+00 BC')
        """,
        {"binary": BINARY},
    ),
    (
        """
        INSERT INTO {schema}.audit_trail (event_type, action, ip_address, details)
        VALUES ('e', 'a', '2001:db8::/48', %(json)s), ('e', '', '10.0.0.1', 'null'), ('e', ' ', NULL, NULL)
        """,
        {"json": r'{"big": 123456789012345678901234567890.1000, "tiny": 1e-400, "text": "\u2028\\\n", "k": [[], {}]}'},
    ),
    (
        """
        INSERT INTO {schema}.error_logs (error_type, error_message, stack_trace, severity)
        VALUES ('odd', %(odd)s, '', 'INFO'), ('null', '\\N', NULL, NULL)
        """,
        {"odd": ODD},
    ),
    (
        """
        INSERT INTO {schema}.conversation_history (session_id, turn_index, speaker, message_text)
        SELECT 's', n, 'user', repeat(chr(n), n %% 50) FROM generate_series(1, 2000) AS n
        """,
        {},
    ),
    ("DELETE FROM {schema}.conversation_history WHERE turn_index > 1990", {}),
    (
        "INSERT INTO {schema}.llm_usage_logs (session_id, provider, model, cost_usd) VALUES ('s', 'p', 'm', 0.000001)",
        {},
    ),
    (
        """
        INSERT INTO {schema}.session_context
            (session_id, context_type, context_key, context_value, ttl_seconds, created_at)
        VALUES ('s', 't', 'k', '[1]', 7, '2024-03-31 01:59:59.999999+01')
        """,
        {},
    ),
]


def held(database: Database, department_id: str) -> dict[str, list[str]]:
    """Return every row of every table, each as PostgreSQL writes it, but for whose it is; and where sequences stand."""
    schema = f"{department_id}_tenant"
    with database.connect() as connection:
        connection.execute("SET timezone = 'UTC'; SET bytea_output = 'hex'")
        found = {
            table: _rows(connection, schema, table, columns)
            for table, columns in connection.execute(_EVERYTHING, (schema,)).fetchall()
        }
        for (name,) in connection.execute(
            "SELECT sequencename::text FROM pg_sequences WHERE schemaname = %s ORDER BY 1", (schema,)
        ).fetchall():
            found[name] = _rows(connection, schema, name, ["last_value", "is_called"])
    return found


def _rows(connection: psycopg.Connection, schema: str, table: str, columns: list[str]) -> list[str]:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    question = sql.SQL("SELECT ROW({})::text AS row FROM {} ORDER BY 1").format(listed, sql.Identifier(schema, table))
    return [row for (row,) in connection.execute(question)]
