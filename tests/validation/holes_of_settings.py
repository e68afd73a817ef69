"""Holes that are set or written down: where sessions begin, and who may speak for whom."""

from __future__ import annotations

from tests.validation.holes import Opening, Pair


def _setting(law: str, setting: str, says: str, *pairs: Pair, mend: str = "") -> Opening:
    name = setting.partition(" ")[0]
    reset = "SET search_path = hr_tenant" if name == "search_path" else f"RESET {name}"
    return Opening(
        law,
        f"ALTER ROLE hr_role SET {setting}",
        f"ALTER ROLE hr_role {reset}",
        {"role_settings": set(pairs)},
        object="role hr_role",
        says=says,
        mend=mend or f"ALTER ROLE hr_role {reset}",
    )


SETTINGS = [
    _setting(
        "a search_path that leads to another department",
        "search_path = sales_tenant",
        "its sessions begin with search_path = sales_tenant",
        (None, "hr"),
    ),
    _setting(
        "a search_path that begins elsewhere",
        "search_path = public, hr_tenant",
        "its sessions begin with search_path = public, hr_tenant",
        (None, "hr"),
    ),
    _setting(
        "row_security that is off", "row_security = off", "its sessions begin with row_security = off", (None, "hr")
    ),
    _setting(
        "sessions that begin as another department",
        "role = 'sales_role'",
        "its sessions begin with role = sales_role",
        ("hr", "sales"),
    ),
    Opening(
        "a role without a search_path",
        "ALTER ROLE hr_role RESET search_path",
        "ALTER ROLE hr_role SET search_path = hr_tenant",
        {"role_settings": {(None, "hr")}},
        object="role hr_role",
        says="it has no search_path",
        mend="ALTER ROLE hr_role SET search_path = hr_tenant",
    ),
    Opening(
        "a search_path in this database alone",
        "ALTER ROLE hr_role IN DATABASE fedschema_walls SET search_path = sales_tenant",
        "ALTER ROLE hr_role IN DATABASE fedschema_walls RESET search_path",
        {"role_settings": {(None, "hr")}},
        object="role hr_role",
        says="its sessions begin with search_path = sales_tenant",
        mend="ALTER ROLE hr_role IN DATABASE fedschema_walls RESET search_path",
    ),
]

ENTITLEMENTS = [
    Opening(
        "an entitlement of a department",
        "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('sales_role', 'hr')",
        "DELETE FROM federation.gateway_entitlements WHERE login_role = 'sales_role'",
        {"entitlements": {("sales", "hr")}},
        object="entitlement of sales_role",
        says="a department's role speaks for nobody",
        mend="DELETE FROM federation.gateway_entitlements WHERE login_role = 'sales_role'",
    ),
    Opening(
        "an entitlement of nobody",
        "INSERT INTO federation.gateway_entitlements (login_role) VALUES ('ghost')",
        "DELETE FROM federation.gateway_entitlements WHERE login_role = 'ghost'",
        {"entitlements": {("ghost", "*")}},
        object="entitlement of ghost",
        says="there is no such login",
        mend="fedschema gateway remove ghost",
    ),
]

HOLES = [*SETTINGS, *ENTITLEMENTS]
