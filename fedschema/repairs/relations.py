"""Repairs of a department's schema, tables, columns, sequences and views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fedschema.differences import Fault
from fedschema.inspection import Definition
from fedschema.rendering import quote_literal
from fedschema.repairs.place import Answer, Place, safe, unsafe

_HANDED_OVER = "whoever owns it has to hand it over"


def schema(place: Place) -> Answer:
    """Mend a schema: only whoever owns it can hand it over."""
    return unsafe(_HANDED_OVER, f"ALTER SCHEMA {place.schema} OWNER TO {place.wanted['owner']}")


def table(place: Place) -> Answer:
    """Mend a table: its row-level security; one that is not ours may hold rows."""
    if place.fault is Fault.FOREIGN:
        return unsafe("it may hold rows", f"DROP TABLE {place.itself}")
    if place.fault is Fault.MISSING:
        if place.wanted.get("partitioned"):
            return unsafe("how it is partitioned is not known")
        return safe(f"CREATE TABLE {place.itself} ()", *_table_flags(place.itself, place.wanted))
    changed = {key: wanted for key, (wanted, _) in place.changes.items()}
    statements = [*_table_flags(place.itself, changed)]
    if "owner" in changed:
        return unsafe(_HANDED_OVER, f"ALTER TABLE {place.itself} OWNER TO {changed['owner']}", *statements)
    if others := set(changed) - {"row-level security", "forced row-level security"}:
        return unsafe(f"its {', '.join(sorted(others))} has to be looked at", *statements)
    return safe(*statements)


def _table_flags(name: str, wanted: Mapping[str, object]) -> Iterator[str]:
    if "row-level security" in wanted:
        yield f"ALTER TABLE {name} {'ENABLE' if wanted['row-level security'] else 'DISABLE'} ROW LEVEL SECURITY"
    if "forced row-level security" in wanted:
        yield f"ALTER TABLE {name} {'' if wanted['forced row-level security'] else 'NO '}FORCE ROW LEVEL SECURITY"


def column(place: Place) -> Answer:
    """Mend a column: its default and NOT NULL; its type is for a person to change."""
    alter, name = f"ALTER TABLE {place.table}", place.own
    if place.fault is Fault.FOREIGN:
        return unsafe("it may hold something", f"{alter} DROP COLUMN {name}")
    if place.fault is Fault.MISSING:
        add = f"{alter} ADD COLUMN {name} {_column_definition(place.wanted)}"
        return unsafe("the rows that are there would have no value", add) if _needs_a_value(place) else safe(add)
    statements: list[str] = []
    reason: str | None = None
    for key, (wanted, _) in place.changes.items():
        if key == "default" and not place.wanted.get("generated"):
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


def _needs_a_value(place: Place) -> bool:
    """Tell whether a column that is added has to hold a value in rows that may be there, and gets none."""
    wanted = place.wanted
    given = wanted.get("default") is not None or wanted.get("identity")
    return bool(wanted.get("not null")) and not given and not place.difference.part_of_missing


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
    drop = f"DROP VIEW {place.itself}"
    return safe(drop) if place.fault is Fault.FOREIGN else unsafe("a view has to be looked at")


def comment(place: Place) -> Answer:
    """Mend a comment: its text."""
    what = place.part("what")
    target = f"{what.upper()} {place.table}" + (f".{place.own}" if what == "column" else "")
    text = None if place.fault is Fault.FOREIGN else str(place.wanted["text"])
    return safe(f"COMMENT ON {target} IS {quote_literal(text)}")
