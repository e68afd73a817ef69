"""Repairs of who may do what: policies and privileges."""

from __future__ import annotations

from fedschema.differences import Fault
from fedschema.rendering import quote_identifier
from fedschema.repairs.place import Answer, Place, safe, unsafe


def policy(place: Place) -> Answer:
    """Mend a policy: it is dropped and made."""
    drop = f"DROP POLICY {place.own} ON {place.table}"
    if place.fault is Fault.FOREIGN:
        return safe(drop)
    wanted = place.wanted
    create = f"CREATE POLICY {place.own} ON {place.table}"
    create += f" AS {'PERMISSIVE' if wanted['permissive'] else 'RESTRICTIVE'} FOR {_COMMANDS[str(wanted['for'])]}"
    create += f" TO {wanted['to']}"
    if wanted.get("using"):
        create += f" USING ({wanted['using']})"
    if wanted.get("with check"):
        create += f" WITH CHECK ({wanted['with check']})"
    return safe(create) if place.fault is Fault.MISSING else safe(drop, create)


#: pg_policy.polcmd (manual, "pg_policy").
_COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}


def privilege(place: Place) -> Answer:
    """Mend a privilege: what one role may do with one object."""
    who, what = place.own, place.part("what")
    target = f"{_KEYWORDS[what]} {place.part('table') if what == 'schema' else place.table}"
    statements = []
    if place.fault is not Fault.MISSING:
        # What somebody passed on goes with the right to: only its giver could take it away by itself.
        passed = _GRANTABLE in str((place.difference.found or {}).get("granted"))
        statements.append(f"REVOKE ALL ON {target} FROM {who}{' CASCADE' if passed else ''}")
    if place.fault is not Fault.FOREIGN:
        granted = str(place.wanted["granted"]).split(", ")
        plain = [name for name in granted if not name.endswith(_GRANTABLE)]
        passed_on = [name.removesuffix(_GRANTABLE) for name in granted if name.endswith(_GRANTABLE)]
        statements += [f"GRANT {', '.join(plain)} ON {target} TO {who}"] if plain else []
        statements += [f"GRANT {', '.join(passed_on)} ON {target} TO {who}{_GRANTABLE}"] if passed_on else []
    if place.difference.grantor is not None:
        grantor = quote_identifier(place.difference.grantor)
        statements = [f"SET LOCAL ROLE {grantor}", *statements, "SET LOCAL ROLE federation_owner"]
    return safe(*statements)


_GRANTABLE = " WITH GRANT OPTION"
_KEYWORDS = {"schema": "SCHEMA", "table": "TABLE", "sequence": "SEQUENCE", "function": "ROUTINE"}


def default_privilege(place: Place) -> Answer:
    """Mend a default privilege: only whoever made it can take it away."""
    kinds = {one.split(" ")[0] for one in str((place.difference.found or {}).get("granted", "")).split(", ")}
    alter = f"ALTER DEFAULT PRIVILEGES FOR ROLE {place.part('maker')}"
    statements = (
        f"{alter} IN SCHEMA {place.schema} REVOKE ALL ON {_DEFAULTS[kind]} FROM {place.own}"
        for kind in sorted(kinds & _DEFAULTS.keys())
    )
    return unsafe("whoever made it has to take it away", *statements)


#: pg_default_acl.defaclobjtype (manual, "pg_default_acl").
_DEFAULTS = {"r": "TABLES", "S": "SEQUENCES", "f": "ROUTINES", "T": "TYPES"}
