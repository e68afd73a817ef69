"""Every way in which fedschema can fail, one class a failure.

    FedschemaError                      anything that the user has to act on
    ├── UsageError                      exit 2: what was typed is wrong, nothing was touched
    │   ├── InvalidDepartmentId, InvalidDepartmentName, InvalidEmail, InvalidPassword
    │   ├── InvalidDatabaseUrl, ProjectNotFound, UnknownDepartment, UnknownRevision, ForeignRevision
    │   └── …
    └── OperationError                  exit 1: the operation was tried and failed
        ├── ServerUnreachable, AuthenticationFailed, …
        └── …

A message is in lower case and says what was wrong and for whom; a hint is what to type next. Neither ever holds a
password, a key or a connection URL that contains one. Foreign exceptions become one of these at one border
(`fedschema.connections.translated`), with ``from``.
"""

from __future__ import annotations

from fedschema.errors.control_plane import (
    AuditChannelFailed,
    ControlPlaneAhead,
    ControlPlaneBehind,
    ControlPlaneMissing,
    DepartmentExists,
    DepartmentsTaken,
    DepartmentVanished,
    NameTaken,
    NotAdoptable,
    NothingToAdopt,
    RoleInUse,
)
from fedschema.errors.foresight import (
    InvalidPlanFile,
    LinterUnavailable,
    NotRehearsable,
    NotReleasable,
    PlanMoved,
    PlanUnsealable,
    ReferencesUnmet,
)
from fedschema.errors.kinds import (
    FedschemaError,
    OperationError,
    UsageError,
)
from fedschema.errors.migrations import (
    BackfillStuck,
    BranchWouldGo,
    CanaryFailed,
    Cancelled,
    CompilationFailed,
    ContractBlocked,
    DepartmentDamaged,
    DepartmentMoved,
    InvalidBudget,
    LockHeldTooLong,
    LockTimeout,
    NeedsConfirmation,
    NoRoom,
    RevisionsUnreadable,
    StatementFailed,
    StatementTimeout,
    WallsMissing,
    WouldLoseRows,
)
from fedschema.errors.observing import (
    FileNotWritten,
    ReportInTheWay,
)
from fedschema.errors.projects import (
    DirectoryUnsuitable,
    ProjectNotWritten,
    TemplateMissing,
)
from fedschema.errors.retention import (
    ExportFailed,
    InvalidPeriod,
    NotExpirable,
    NotSchedulable,
    TableMissing,
)
from fedschema.errors.rollback import (
    InvalidDowngradeRecord,
    LossyStep,
    NoWayBack,
    PostgresNotFound,
)
from fedschema.errors.secrets import (
    InvalidEncryptionKey,
    InvalidSecret,
    MissingEncryptionKey,
    SecretDamaged,
    UnknownSecret,
    WrongEncryptionKey,
)
from fedschema.errors.server import (
    AuthenticationFailed,
    ConnectionLost,
    DatabaseMissing,
    DirectUrlElsewhere,
    PrivilegeMissing,
    ReadOnlyServer,
    ServerTooOld,
    ServerUnreachable,
    SessionNeeded,
)
from fedschema.errors.sharing import (
    GrantMissing,
    InvalidLogin,
    InvalidMoment,
    InvalidText,
    LoginExists,
    LoginStays,
    LoginUnsuitable,
    NotShareable,
    SameDepartment,
    SessionsRemain,
    UnknownEntitlement,
    UnknownLogin,
)
from fedschema.errors.typed import (
    ForeignRevision,
    InvalidDatabaseUrl,
    InvalidDepartmentId,
    InvalidDepartmentName,
    InvalidEmail,
    InvalidPassword,
    InvalidRoster,
    ProjectNotFound,
    UnknownDepartment,
    UnknownRevision,
)
from fedschema.errors.writing import (
    FileInTheWay,
    InvalidRevisionId,
    InvalidRevisionMessage,
    InvalidTableName,
    ProjectReadOnly,
)

__all__ = [
    "AuditChannelFailed",
    "AuthenticationFailed",
    "BackfillStuck",
    "BranchWouldGo",
    "CanaryFailed",
    "Cancelled",
    "CompilationFailed",
    "ConnectionLost",
    "ContractBlocked",
    "ControlPlaneAhead",
    "ControlPlaneBehind",
    "ControlPlaneMissing",
    "DatabaseMissing",
    "DepartmentDamaged",
    "DepartmentExists",
    "DepartmentMoved",
    "DepartmentVanished",
    "DepartmentsTaken",
    "DirectUrlElsewhere",
    "DirectoryUnsuitable",
    "ExportFailed",
    "FedschemaError",
    "FileInTheWay",
    "FileNotWritten",
    "ForeignRevision",
    "GrantMissing",
    "InvalidBudget",
    "InvalidDatabaseUrl",
    "InvalidDepartmentId",
    "InvalidDepartmentName",
    "InvalidDowngradeRecord",
    "InvalidEmail",
    "InvalidEncryptionKey",
    "InvalidLogin",
    "InvalidMoment",
    "InvalidPassword",
    "InvalidPeriod",
    "InvalidPlanFile",
    "InvalidRevisionId",
    "InvalidRevisionMessage",
    "InvalidRoster",
    "InvalidSecret",
    "InvalidTableName",
    "InvalidText",
    "LinterUnavailable",
    "LockHeldTooLong",
    "LockTimeout",
    "LoginExists",
    "LoginStays",
    "LoginUnsuitable",
    "LossyStep",
    "MissingEncryptionKey",
    "NameTaken",
    "NeedsConfirmation",
    "NoRoom",
    "NoWayBack",
    "NotAdoptable",
    "NotExpirable",
    "NotRehearsable",
    "NotReleasable",
    "NotSchedulable",
    "NotShareable",
    "NothingToAdopt",
    "OperationError",
    "PlanMoved",
    "PlanUnsealable",
    "PostgresNotFound",
    "PrivilegeMissing",
    "ProjectNotFound",
    "ProjectNotWritten",
    "ProjectReadOnly",
    "ReadOnlyServer",
    "ReferencesUnmet",
    "ReportInTheWay",
    "RevisionsUnreadable",
    "RoleInUse",
    "SameDepartment",
    "SecretDamaged",
    "ServerTooOld",
    "ServerUnreachable",
    "SessionNeeded",
    "SessionsRemain",
    "StatementFailed",
    "StatementTimeout",
    "TableMissing",
    "TemplateMissing",
    "UnknownDepartment",
    "UnknownEntitlement",
    "UnknownLogin",
    "UnknownRevision",
    "UnknownSecret",
    "UsageError",
    "WallsMissing",
    "WouldLoseRows",
    "WrongEncryptionKey",
]
