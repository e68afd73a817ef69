"""fedschema gives every department its own walled-off PostgreSQL schema and migrates them all together.

For a provisioning service, the functions of the command line as plain Python: typed results, typed errors, nothing
printed, no global state.

    import fedschema

    settings = fedschema.Settings.load(database_url="postgresql://…")
    conninfo = fedschema.conninfo_of(settings.database)
    compiler = fedschema.Compiler(settings.project)
    new = fedschema.NewDepartment(fedschema.Department.parse("legal"), "Legal Department")
    fedschema.add_department(conninfo, compiler, new, fedschema.generate_password())
    assert fedschema.validate(conninfo, compiler, [], by_trying=True).ok

Each name is loaded when it is first asked for, so that `import fedschema` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedschema.addresses import conninfo_of
    from fedschema.adoption import Adoption, Wish
    from fedschema.adoption import adopt as adopt_department
    from fedschema.archiving import archive as archive_department
    from fedschema.audit import attempts
    from fedschema.bundles import opened as open_bundle
    from fedschema.compiler import Compiler
    from fedschema.department import Department
    from fedschema.errors import FedschemaError
    from fedschema.federation import initialise
    from fedschema.fleet.seal import SealedPlan
    from fedschema.fleet.seal import read as read_plan
    from fedschema.fleet.seal import write as write_plan
    from fedschema.gateways import add as add_gateway
    from fedschema.gateways import remove as remove_gateway
    from fedschema.passwords import Password
    from fedschema.passwords import generate as generate_password
    from fedschema.previews import LiveRehearsal, Preview, preview, rehearse_departments
    from fedschema.releases import Direction, Release, Result, history, migrate, prepare, status
    from fedschema.restoring import restore as restore_department
    from fedschema.sealing import prepare_sealed, seal
    from fedschema.settings import Settings
    from fedschema.sharing import Grant, PermissionType, Sharing, grant, grants, revoke
    from fedschema.tenancy import NewDepartment
    from fedschema.tenancy import add as add_department
    from fedschema.tenancy import drop as drop_department
    from fedschema.validation import Validation, validate

__version__ = "0.1.0"

__all__ = [
    "Adoption",
    "Compiler",
    "Department",
    "Direction",
    "FedschemaError",
    "Grant",
    "LiveRehearsal",
    "NewDepartment",
    "Password",
    "PermissionType",
    "Preview",
    "Release",
    "Result",
    "SealedPlan",
    "Settings",
    "Sharing",
    "Validation",
    "Wish",
    "add_department",
    "add_gateway",
    "adopt_department",
    "archive_department",
    "attempts",
    "conninfo_of",
    "drop_department",
    "generate_password",
    "grant",
    "grants",
    "history",
    "initialise",
    "migrate",
    "open_bundle",
    "prepare",
    "prepare_sealed",
    "preview",
    "read_plan",
    "rehearse_departments",
    "remove_gateway",
    "restore_department",
    "revoke",
    "seal",
    "status",
    "validate",
    "write_plan",
]

_PLACES = {
    "Adoption": "adoption:Adoption",
    "Compiler": "compiler:Compiler",
    "Department": "department:Department",
    "Direction": "releases:Direction",
    "FedschemaError": "errors:FedschemaError",
    "Grant": "sharing:Grant",
    "LiveRehearsal": "previews:LiveRehearsal",
    "NewDepartment": "tenancy:NewDepartment",
    "Password": "passwords:Password",
    "PermissionType": "sharing:PermissionType",
    "Preview": "previews:Preview",
    "Release": "releases:Release",
    "Result": "releases:Result",
    "SealedPlan": "fleet.seal:SealedPlan",
    "Settings": "settings:Settings",
    "Sharing": "sharing:Sharing",
    "Validation": "validation:Validation",
    "Wish": "adoption:Wish",
    "add_department": "tenancy:add",
    "adopt_department": "adoption:adopt",
    "add_gateway": "gateways:add",
    "archive_department": "archiving:archive",
    "attempts": "audit:attempts",
    "conninfo_of": "addresses:conninfo_of",
    "drop_department": "tenancy:drop",
    "generate_password": "passwords:generate",
    "grant": "sharing:grant",
    "grants": "sharing:grants",
    "history": "releases:history",
    "initialise": "federation:initialise",
    "migrate": "releases:migrate",
    "open_bundle": "bundles:opened",
    "prepare": "releases:prepare",
    "prepare_sealed": "sealing:prepare_sealed",
    "preview": "previews:preview",
    "read_plan": "fleet.seal:read",
    "rehearse_departments": "previews:rehearse_departments",
    "remove_gateway": "gateways:remove",
    "restore_department": "restoring:restore",
    "revoke": "sharing:revoke",
    "seal": "sealing:seal",
    "status": "releases:status",
    "validate": "validation:validate",
    "write_plan": "fleet.seal:write",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Load a public name when it is first asked for (PEP 562)."""
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
