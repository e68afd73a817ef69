"""Bundles and backups: files that hold a department, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

from fedschema.errors.kinds import OperationError, UsageError

_UNTOUCHED = "nothing was changed"


class BundleDamaged(OperationError):
    """A file is no bundle, or not all of one, or not what was written."""

    code = "bundle_damaged"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be used: {reason}; {_UNTOUCHED}", "take another copy of it")


class BundleKeyNeeded(UsageError):
    """A bundle is encrypted, and no key was handed in."""

    code = "bundle_key_needed"

    def __init__(self, path: str, needed: str) -> None:
        super().__init__(
            f"{path} is encrypted under key {needed}, and no key was given; {_UNTOUCHED}",
            "hand it in with --key-file FILE, or in FEDSCHEMA_BACKUP_KEY",
        )


class WrongBundleKey(OperationError):
    """A bundle is under another key than the one that was handed in."""

    code = "wrong_bundle_key"

    def __init__(self, path: str, needed: str, given: str) -> None:
        super().__init__(
            f"{path} is encrypted under key {needed}, and the key given is {given}; {_UNTOUCHED}",
            f"hand in key {needed} with --key-file FILE",
        )


class BundleUnsuitable(OperationError):
    """A bundle is whole, but cannot become what was asked for here."""

    code = "bundle_unsuitable"

    def __init__(self, path: str, reason: str, hint: str | None) -> None:
        super().__init__(f"{path} cannot be restored here: {reason}; {_UNTOUCHED}", hint)


class BundleNotWritten(OperationError):
    """A bundle, or a file beside it, could not be written; nothing is left of it."""

    code = "bundle_not_written"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path} cannot be written: {reason}; nothing is left of it", "name another directory: --to DIR"
        )


class RestoreDiffers(OperationError):
    """What came out of a bundle is not, row by row, what had gone into it."""

    code = "restore_differs"

    def __init__(self, what: str, differences: Sequence[str]) -> None:
        super().__init__(
            f"{what} would not be what its bundle says: {'; '.join(differences)}; {_UNTOUCHED}",
            "take another bundle, and keep this one for whoever looks into it",
        )


class RowsOutOfSight(OperationError):
    """It is not certain that all rows of a table would be seen, so none is copied."""

    code = "rows_out_of_sight"

    def __init__(self, department: str, table: str, reason: str) -> None:
        super().__init__(
            f"table {table} of department {department} cannot be read whole: {reason}; nothing was written",
            f"mend its walls first: fedschema drift {department} --repair",
        )


class DepartmentDrifted(OperationError):
    """A department is not what its revisions give, so that an archive of it would not come back as it is."""

    code = "department_drifted"

    def __init__(self, department: str, differences: Sequence[str]) -> None:
        shown = "; ".join(differences[:_SHOWN])
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        super().__init__(
            f"department {department} is not what its revisions give, and would not come back as it is: {shown}{more}",
            f"fedschema drift {department}; a backup takes it as it is: fedschema backup {department} --to DIR",
        )


_SHOWN = 3


class ChangedSinceArchive(OperationError):
    """A department has other rows than its last archive, so that dropping it unasked would lose some."""

    code = "changed_since_archive"

    def __init__(self, department: str) -> None:
        super().__init__(
            f"department {department} has changed since its archive was made; nothing was changed",
            f"fedschema tenant archive {department}",
        )


class BackupIncomplete(OperationError):
    """A directory holds no backup, or one that was interrupted."""

    code = "backup_incomplete"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} holds no whole backup: {reason}", "fedschema backup --all --to DIR")


class FederationInTheWay(OperationError):
    """A whole federation can only be restored where there is none."""

    code = "federation_in_the_way"

    def __init__(self, database: str, departments: int) -> None:
        super().__init__(
            f"database {database} has {departments} department{'' if departments == 1 else 's'} in its registry; "
            "nothing was changed",
            "restore into a new database, or one department: fedschema tenant restore ID --from FILE",
        )
