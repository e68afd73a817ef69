"""Repairs of a department's schema, tables, columns, sequences and views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fedschema.differences import Fault
from fedschema.inspection import Definition
from fedschema.rendering import quote_identifier, quote_literal
from fedschema.repairs.place import Answer, Place, safe, unsafe


def schema(place: Place) -> Answer:
    """Mend a schema: its owner."""
    return safe(f"ALTER SCHEMA {quote_identifier(place.department.schema)} OWNER TO {place.wanted['owner']}")


def table(place: Place) -> Answer:
    """Mend a table: its owner and its row-level security; one that is not ours may hold rows."""
    name = place.qualified(place.difference.thing.name)
    if place.fault is Fault.FOREIGN:
        return unsafe("it may hold rows", f"DROP TABLE {name}")
    if place.fault is Fault.MISSING:
        return safe(f"CREATE TABLE {name} ()", *_table_flags(name, place.wanted))
    changed = {key: wanted for key, (wanted, _) in place.changes.items()}
    if set(changed) - {"owner", "row-level security", "forced row-level security"}:
        return unsafe("it is another kind of table", *_table_flags(name, changed))
    return safe(*_table_flags(name, changed))


def _table_flags(name: str, wanted: Mapping[str, object]) -> Iterator[str]:
    if "owner" in wanted:
        yield f"ALTER TABLE {name} OWNER TO {quote_identifier(str(wanted['owner']))}"
    if "row-level security" in wanted:
        yield f"ALTER TABLE {name} {'ENABLE' if wanted['row-level security'] else 'DISABLE'} ROW LEVEL SECURITY"
    if "forced row-level security" in wanted:
        yield f"ALTER TABLE {name} {'' if wanted['forced row-level security'] else 'NO '}FORCE ROW LEVEL SECURITY"


def column(place: Place) -> Answer:
    """Mend a column: its default and NOT NULL; its type is for a person to change."""
    table, _, column = place.difference.thing.name.partition(".")
    alter = f"ALTER TABLE {place.qualified(table)}"
    name = quote_identifier(column)
    if place.fault is Fault.FOREIGN:
        return unsafe("it may hold something", f"{alter} DROP COLUMN {name}")
    if place.fault is Fault.MISSING:
        return safe(f"{alter} ADD COLUMN {name} {_column_definition(place.wanted)}")
    statements: list[str] = []
    reason: str | None = None
    for key, (wanted, _) in place.changes.items():
        if key == "default":
            action = f"SET DEFAULT {wanted}" if wanted is not None else "DROP DEFAULT"
            statements.append(f"{alter} ALTER COLUMN {name} {action}")
        elif key == "not null":
            statements.append(f"{alter} ALTER COLUMN {name} {'SET' if wanted else 'DROP'} NOT NULL")
        elif key == "type":
            reason = "another type may lose what the column holds"
            statements.append(f"{alter} ALTER COLUMN {name} TYPE {wanted}")
        else:
            reason = f"its {key} has to be looked at"
    return unsafe(reason, *statements) if reason else safe(*statements)


def _column_definition(wanted: Definition) -> str:
    parts = [str(wanted["type"])]
    if wanted.get("collation"):
        parts.append(f"COLLATE {wanted['collation']}")
    if wanted.get("generated"):
        parts.append(f"GENERATED ALWAYS AS ({wanted['default']}) STORED")
    elif wanted.get("identity"):
        parts.append(f"GENERATED {'ALWAYS' if wanted['identity'] == 'a' else 'BY DEFAULT'} AS IDENTITY")
    elif wanted.get("default") is not None:
        parts.append(f"DEFAULT {wanted['default']}")
    if wanted.get("not null"):
        parts.append("NOT NULL")
    return " ".join(parts)


def sequence(place: Place) -> Answer:
    """Mend a sequence: it comes and goes with its column."""
    if place.fault is Fault.MISSING:
        return safe()  # it comes with its column
    return unsafe("it holds where the numbering is: look at it")


def view(place: Place) -> Answer:
    """Mend a view: one that is not ours goes; it holds no rows."""
    drop = f"DROP VIEW {place.qualified(place.difference.thing.name)}"
    return safe(drop) if place.fault is Fault.FOREIGN else unsafe("a view has to be looked at")


def comment(place: Place) -> Answer:
    """Mend a comment: its text."""
    table, _, column = place.difference.thing.name.partition(".")
    what = (
        f"COLUMN {place.qualified(table)}.{quote_identifier(column)}" if column else f"TABLE {place.qualified(table)}"
    )
    text = None if place.fault is Fault.FOREIGN else str(place.wanted["text"])
    return safe(f"COMMENT ON {what} IS {quote_literal(text)}")
