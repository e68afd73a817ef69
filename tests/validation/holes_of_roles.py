"""Holes that roles are: their attributes and memberships."""

from __future__ import annotations

from tests.validation.holes import ALL_PAIRS, Opening, Pair

PLATFORM_ROLES = (
    "federation_admin_role",
    "federation_reader_role",
    "federation_retention_role",
    "cross_dept_query_role",
    "federation_department_role",
    "federation_owner",
)
OF_THE_OWNER: set[Pair] = {("federation_owner", target) for target in ("hr", "legal", "sales")}


def _seen_by_trying(role: str, attribute: str) -> dict[str, set[Pair]]:
    """What trying shows of a role that walls do not bind."""
    if role == "cross_dept_query_role":
        # Nobody but a superuser makes somebody a member of a superuser's role, so it cannot be tried.
        return {"probe_gate": set(ALL_PAIRS) if attribute == "BYPASSRLS" else {("cross_dept_query_role", "*")}}
    return {"probe_owner": OF_THE_OWNER} if role == "federation_owner" else {}


def _attributes(role: str, source: str, *attributes: str, **seen: set[Pair]) -> Opening:
    opposites = " ".join(f"NO{attribute}" for attribute in attributes)
    return Opening(
        f"{' '.join(attributes)} on {role}",
        f"ALTER ROLE {role} {' '.join(attributes)}",
        f"ALTER ROLE {role} {opposites}",
        {"attributes": {(source, "*")}, **seen},
        object=f"role {role}",
        says=f"it has {', '.join(attributes)}:",
        mend=f"ALTER ROLE {role} {opposites}",
    )


DEPARTMENT_ATTRIBUTES = [
    _attributes("hr_role", "hr", "SUPERUSER", probe_across={("hr", "hr")}),
    _attributes("hr_role", "hr", "BYPASSRLS", probe_own={("hr", "hr")}),
    *(_attributes("hr_role", "hr", attribute) for attribute in ("CREATEROLE", "CREATEDB", "REPLICATION")),
]
LOGIN_ATTRIBUTES = [
    _attributes(login, login, *attributes)
    for login in ("gateway", "administrator")
    for attributes in (("SUPERUSER",), ("BYPASSRLS",), ("CREATEROLE", "CREATEDB", "REPLICATION"))
]
PLATFORM_ATTRIBUTES = [
    *(_attributes(role, role, "SUPERUSER", **_seen_by_trying(role, "SUPERUSER")) for role in PLATFORM_ROLES),
    *(_attributes(role, role, "BYPASSRLS", **_seen_by_trying(role, "BYPASSRLS")) for role in PLATFORM_ROLES),
    *(_attributes(role, role, "CREATEROLE", "CREATEDB", "REPLICATION", "LOGIN") for role in PLATFORM_ROLES[:-1]),
    _attributes("federation_owner", "federation_owner", "CREATEDB", "REPLICATION", "LOGIN"),
]
OTHER_ATTRIBUTES = [
    Opening(
        "BYPASSRLS on a stranger who may use a schema",
        "ALTER ROLE stranger BYPASSRLS; GRANT USAGE ON SCHEMA hr_tenant TO stranger",
        "ALTER ROLE stranger NOBYPASSRLS; REVOKE USAGE ON SCHEMA hr_tenant FROM stranger",
        {"attributes": {("stranger", "hr")}, "grants": {("stranger", "hr")}, "walls": {(None, "hr")}},
        object="role stranger",
        says="it has BYPASSRLS and may use schema hr_tenant",
        mend="ALTER ROLE stranger NOBYPASSRLS",
    ),
    Opening(
        "CREATEROLE on a stranger",
        "ALTER ROLE stranger CREATEROLE",
        "ALTER ROLE stranger NOCREATEROLE",
        {"attributes": {("stranger", "*")}},
        object="role stranger",
        says="it has CREATEROLE, with which it can make itself a member of any role",
        mend="ALTER ROLE stranger NOCREATEROLE",
        before=16,
    ),
    Opening(
        "a department's role that cannot log in",
        "ALTER ROLE hr_role NOLOGIN",
        "ALTER ROLE hr_role LOGIN",
        {"attributes": {(None, "hr")}},
        object="role hr_role",
        says="it cannot log in",
        mend="ALTER ROLE hr_role LOGIN",
    ),
    Opening(
        "a department's role that is missing",
        "ALTER ROLE hr_role RENAME TO hr_role_that_was",
        "ALTER ROLE hr_role_that_was RENAME TO hr_role",
        {
            "attributes": {(None, "hr")},
            "grants": {("hr_role_that_was", "hr")},
            "policies": {("hr_role_that_was", "hr")},
            "walls": {(None, "hr")},
            "probe_across": {("hr", "hr")},
        },
        object="role hr_role",
        says="it is missing",
    ),
]


def _member(member: str, role: str, options: str = "", since: int = 0, before: int = 99, **named: set[Pair]) -> Opening:
    return Opening(
        f"{role} granted to {member}{options}",
        f"GRANT {role} TO {member}{options}",
        f"REVOKE {role} FROM {member}",
        named,
        object=f"role {member}",
        says=f"it is a member of {role}",
        mend=f"REVOKE {role} FROM {member}",
        since=since,
        before=before,
    )


FROM_HR: set[Pair] = {("hr", "legal"), ("hr", "sales")}
HELPED_ITSELF: set[Pair] = {("hr", "*")}
PREDEFINED = (
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
)
DEPARTMENT_MEMBERSHIPS = [
    _member("hr_role", "sales_role", memberships={("hr", "sales")}, probe_across={("hr", "sales")}),
    _member(
        "hr_role", "sales_role", " WITH ADMIN OPTION", memberships={("hr", "sales")}, probe_across={("hr", "sales")}
    ),
    _member("hr_role", "sales_role", " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", 16, memberships={("hr", "sales")}),
    _member("hr_role", "sales_role", " WITH INHERIT FALSE, SET TRUE", 16, memberships={("hr", "sales")}),
    _member(
        "hr_role",
        "sales_role",
        " WITH INHERIT TRUE, SET FALSE",
        16,
        memberships={("hr", "sales")},
        probe_across={("hr", "sales")},
    ),
    _member("hr_role", "stranger", memberships={("hr", "*")}),
    *(_member("hr_role", role, memberships={("hr", "*")}) for role in PREDEFINED[2:]),
    _member("hr_role", "federation_owner", before=16, memberships={("hr", "*")}, probe_across={("hr", "hr")}),
    *(
        _member("hr_role", role, memberships={("hr", "*")}, probe_across=FROM_HR, probe_share=HELPED_ITSELF)
        for role in ("federation_admin_role", "federation_reader_role")
    ),
    *(
        _member("hr_role", role, memberships={("hr", "*")}, probe_share=HELPED_ITSELF)
        for role in ("federation_retention_role", "cross_dept_query_role", "pg_read_all_data", "pg_write_all_data")
    ),
    Opening(
        "a gateway granted to hr_role",
        "GRANT gateway TO hr_role",
        "REVOKE gateway FROM hr_role",
        {"memberships": {("hr", "*")}, "probe_share": HELPED_ITSELF},
        object="role hr_role",
        says="it is a member of cross_dept_query_role through gateway",
        mend="REVOKE gateway FROM hr_role",
    ),
    Opening(
        "sales_role granted to hr_role through others",
        "GRANT sales_role TO team; GRANT team TO hr_role",
        "REVOKE sales_role FROM team; REVOKE team FROM hr_role",
        {"memberships": {("hr", "sales"), ("team", "sales")}, "probe_across": {("hr", "sales")}},
        object="role hr_role",
        says="it is a member of sales_role through team",
        mend="REVOKE team FROM hr_role",
    ),
]
EVERY_DEPARTMENT: set[Pair] = {("hr", "*"), ("legal", "*"), ("sales", "*")}
OTHER_MEMBERSHIPS = [
    _member("stranger", "hr_role", memberships={("stranger", "hr")}),
    _member("stranger", "federation_reader_role", memberships={("stranger", "*")}),
    _member("stranger", "federation_retention_role", memberships={("stranger", "*")}),
    *(_member("stranger", role, memberships={("stranger", "*")}) for role in PREDEFINED),
    *(
        _member("gateway", role, memberships={("gateway", "*")})
        for role in ("federation_admin_role", "federation_owner", "federation_reader_role", *PREDEFINED[:2])
    ),
    _member("gateway", "hr_role", memberships={("gateway", "hr")}),
    *(
        _member("administrator", role, memberships={("administrator", "*")})
        for role in ("federation_reader_role", PREDEFINED[-1])
    ),
    _member("administrator", "hr_role", memberships={("administrator", "hr")}),
    _member(
        "cross_dept_query_role",
        "federation_admin_role",
        memberships={("cross_dept_query_role", "*"), ("gateway", "*")},
        probe_gate=set(ALL_PAIRS),
    ),
    _member(
        "cross_dept_query_role", "pg_read_all_data", memberships={("cross_dept_query_role", "*"), ("gateway", "*")}
    ),
    _member(
        "federation_department_role",
        "federation_admin_role",
        memberships={("federation_department_role", "*"), *EVERY_DEPARTMENT},
        probe_across=set(ALL_PAIRS),
        probe_share=EVERY_DEPARTMENT,
    ),
    _member("federation_reader_role", "sales_role", memberships={("federation_reader_role", "sales")}),
    Opening(
        "a superuser's role granted to a gateway",
        "ALTER ROLE team SUPERUSER; GRANT team TO gateway",
        "REVOKE team FROM gateway; ALTER ROLE team NOSUPERUSER",
        {"memberships": {("gateway", "*")}},
        object="role gateway",
        says="it is a member of team",
    ),
    Opening(
        "an owner that inherits the administrators' rights",
        "GRANT federation_admin_role TO federation_owner WITH INHERIT TRUE",
        "GRANT federation_admin_role TO federation_owner WITH INHERIT FALSE",
        {"memberships": {("federation_owner", "*")}, "probe_owner": OF_THE_OWNER},
        object="role federation_owner",
        says="it inherits federation_admin_role",
        mend="GRANT federation_admin_role TO federation_owner WITH INHERIT FALSE",
        since=16,
    ),
    Opening(
        "an owner that inherits everybody's rights",
        "ALTER ROLE federation_owner INHERIT",
        "ALTER ROLE federation_owner NOINHERIT",
        {"memberships": {("federation_owner", "*")}, "probe_owner": OF_THE_OWNER},
        object="role federation_owner",
        says="it inherits federation_",
        mend="ALTER ROLE federation_owner NOINHERIT",
        before=16,
    ),
]


HOLES = [
    *DEPARTMENT_ATTRIBUTES,
    *LOGIN_ATTRIBUTES,
    *PLATFORM_ATTRIBUTES,
    *OTHER_ATTRIBUTES,
    *DEPARTMENT_MEMBERSHIPS,
    *OTHER_MEMBERSHIPS,
]
