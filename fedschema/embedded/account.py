"""Who runs the server.

PostgreSQL refuses to run as root, so root lends it to an unprivileged account that exists already; nobody is added to
the machine. An ordinary user runs it as themselves.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from fedschema.embedded.errors import NamelessAccount, NoServerAccount

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ROOT = 0
UNPRIVILEGED = ("postgres", "nobody")


class Identity(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that change who a process is."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """An operating-system account that PostgreSQL can run as.

    Attributes:
        borrowed: we are root and have to become this account first.
    """

    name: str
    uid: int
    gid: int
    borrowed: bool

    @property
    def identity(self) -> Identity:
        """What to pass to subprocess; the supplementary groups of root are dropped too."""
        if not self.borrowed:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_account(places: Iterable[Path]) -> Account:
    """Choose who runs the server whose files are (or will be) in `places`.

    As root, the owner of the first existing place that is not root's decides, so that ``sudo fedschema`` in a user's
    project runs that user's server; otherwise ``postgres``, else ``nobody``.

    Raises:
        NamelessAccount: the account has no name.
        NoServerAccount: we are root and no unprivileged account exists.
    """
    if os.geteuid() != ROOT:
        return _account(os.geteuid(), borrowed=False)
    for place in places:
        owner = owner_of(place)
        if owner not in (None, ROOT):
            return _account(owner, borrowed=True)
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid, borrowed=True)
    raise NoServerAccount(UNPRIVILEGED)


def operators(account: Account) -> list[str]:
    """List the accounts that log in as superuser without a password: who made the cluster, root, who runs it."""
    names = [name_of(uid) for uid in (os.geteuid(), ROOT, account.uid)]
    return list(dict.fromkeys(name for name in names if name))


def name_of(uid: int) -> str | None:
    """Look up the name of a user id; None when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def owner_of(path: Path) -> int | None:
    """Return the user id that owns `path` itself (links are not followed), or None when there is nothing."""
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return None


def _account(uid: int, *, borrowed: bool) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise NamelessAccount(uid) from None
    return Account(entry.pw_name, uid, entry.pw_gid if borrowed else os.getegid(), borrowed)
