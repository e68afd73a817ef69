"""Tries the passwords that nobody should have: those of the old checklist, and those made of the login's own name."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

#: From the seed's README and checklist, and what is tried first by everybody else.
DEFAULTS = (
    "change_me_in_production",
    "encrypted_password",
    "new_encrypted_password",
    "your_password",
    "secret",
    "password",
    "postgres",
    "changeme",
    "admin",
    "123456",
)
#: How many are tried at once; the hashing lets other threads run.
_THREADS = 4
#: How many logins are taken between two looks at the clock.
_AT_ONCE = 8

_SCRAM = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class Secret:
    """What the server keeps of a login's password. It is never shown.

    Attributes:
        login: whose it is.
        verifier: as pg_authid has it.
        candidates: what it might be.
    """

    login: str
    verifier: str
    candidates: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Secret({self.login!r})"


def candidates(login: str, *, thorough: bool) -> tuple[str, ...]:
    """Return what a login's password might be; few guesses unless `thorough`, since each costs a millisecond."""
    own = login.removesuffix("_role")
    named = tuple(dict.fromkeys((login, own)))
    return (*named, *(f"{own}{end}" for end in ("_password", "123", "1234")), *DEFAULTS) if thorough else named


def matches(verifier: str, login: str, password: str) -> bool:
    """Tell whether a password has this verifier: SCRAM (RFC 5802, with SHA-256) or MD5.

    Args:
        verifier: as pg_authid has it.
        login: whose it is; MD5 is salted with the name.
        password: plain ASCII, for which SASLprep changes nothing.
    """
    if verifier.startswith("md5"):
        digest = hashlib.md5(f"{password}{login}".encode(), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(verifier, f"md5{digest}")
    parts = _SCRAM.fullmatch(verifier)
    if parts is None:
        return False
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts[2]), int(parts[1]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), base64.b64decode(parts[3]))


def guess(secrets: Sequence[Secret], seconds: float | None) -> tuple[list[str], int]:
    """Try what passwords might be, those drawn by chance first.

    Args:
        secrets: the logins.
        seconds: when to stop; None for when all were tried.

    Returns:
        the logins whose password was guessed, by name, and how many logins were tried.
    """
    drawn = list(secrets)
    random.SystemRandom().shuffle(drawn)
    until = None if seconds is None else time.monotonic() + seconds
    guessed: list[str] = []
    tried = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for some in _in_parts(drawn):
            guessed += [secret.login for secret, found in zip(some, pool.map(_is_guessed, some), strict=True) if found]
            tried += len(some)
            if until is not None and time.monotonic() > until:
                break
    return sorted(guessed), tried


def _is_guessed(secret: Secret) -> bool:
    return any(map(partial(matches, secret.verifier, secret.login), secret.candidates))


def _in_parts(secrets: Sequence[Secret]) -> Iterator[Sequence[Secret]]:
    places: Iterable[int] = range(0, len(secrets), _AT_ONCE)
    return (secrets[place : place + _AT_ONCE] for place in places)
