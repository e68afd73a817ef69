"""What squawk, a linter for PostgreSQL migrations, says about SQL that is going to run.

squawk is a program, which its package puts beside this Python's own. Where it cannot be run that is said, and the SQL
counts as not linted. A project's own `.squawk.toml`, beside its alembic.ini, is obeyed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedschema import statements

_PROGRAM = "squawk"
_SECONDS = 30.0

#: What squawk knows and what does not apply here, each with the reason.
NOT_APPLICABLE = {
    "require-lock-timeout": "fedschema sets lock_timeout in each transaction, by --lock-timeout",
    "require-statement-timeout": "fedschema sets statement_timeout in each transaction, by --statement-timeout",
    "prefer-text-field": "every table has varchar columns by its specification, and what changing the length of one "
    "costs is measured",
    "prefer-robust-stmts": "a transaction is wholly done or not at all, and IF NOT EXISTS would hide drift",
    "ban-concurrent-index-creation-in-transaction": "what op.create_index_concurrently makes is outside of "
    "the transaction, and any other fails where it is tried",
    "transaction-nesting": "a revision that ends its transaction is refused, and going back to a savepoint, which is "
    "taken for that, ends none",
}


@dataclass(frozen=True, slots=True)
class Lint:
    """One warning.

    Attributes:
        rule: its name, in squawk's documentation.
        level: ``Warning`` or ``Error``.
        message: what squawk says.
        mend: what it advises, or None.
        statement: the number of the statement that it is about, from 0.
    """

    rule: str
    level: str
    message: str
    mend: str | None
    statement: int


class NotLinted(Exception):
    """squawk could not be run; the text says why."""


def program() -> Path | None:
    """Find squawk: beside this Python, where packages put their programs, on the PATH."""
    places = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    found = next((place / _PROGRAM for place in places if os.access(place / _PROGRAM, os.X_OK)), None)
    on_path = shutil.which(_PROGRAM) if found is None else None
    return Path(on_path) if on_path else found


def lint(sql: str, server_version: int, project: Path) -> tuple[Lint, ...]:
    """Return what squawk says about a script that runs in one transaction.

    Args:
        sql: the script.
        server_version: as libpq has it: 180006.
        project: the directory whose `.squawk.toml` holds, if it has one.

    Raises:
        NotLinted: it could not be run, or did not understand what it was asked.
    """
    config = project / ".squawk.toml"
    words = ["--reporter", "json", "--assume-in-transaction"]
    words += ["--pg-version", f"{server_version // 10000}.{server_version % 10000}"]
    words += ["--config", str(config if config.is_file() else os.devnull), "--stdin-filepath", "plan.sql"]
    done = _run(words, sql, project)
    try:
        told = json.loads(done.stdout) if done.stdout.strip() else None
    except ValueError as error:
        raise NotLinted(f"squawk could not be run: {type(error).__name__}: {error}") from error
    if not isinstance(told, list):
        raise NotLinted(_ending(done))
    return _lints(told, _beginnings(sql))


def syntax_tree(sql: str) -> str:
    """Return what squawk's parser makes of a script: a node a line, with where in the text (in bytes) it stands.

    Raises:
        NotLinted: it could not be run.
    """
    done = _run(["--debug", "parse", "--config", os.devnull, "--stdin-filepath", "plan.sql"], sql, None)
    if not done.stdout.startswith("SOURCE_FILE@"):
        raise NotLinted(_ending(done))
    return done.stdout


def _run(words: Sequence[str], sql: str, directory: Path | None) -> subprocess.CompletedProcess[str]:
    squawk = program()
    if squawk is None:
        raise NotLinted("squawk is not installed here: pip install squawk-cli")
    try:
        return subprocess.run(
            [str(squawk), *words],
            input=sql,
            capture_output=True,
            encoding="utf-8",
            timeout=_SECONDS,
            cwd=directory,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotLinted(f"squawk was not done after {_SECONDS:.0f} s") from None
    except (OSError, ValueError) as error:
        raise NotLinted(f"squawk could not be run: {type(error).__name__}: {error}") from error


def _ending(done: subprocess.CompletedProcess[str]) -> str:
    return f"squawk ended with {done.returncode}: {' '.join(done.stderr.split())[:200]}"


def _lints(told: Sequence[dict[str, Any]], beginnings: Sequence[tuple[int, int]]) -> tuple[Lint, ...]:
    """Take what applies, each once for a statement: squawk says the same of every column."""
    found = (
        Lint(
            str(each["rule_name"]),
            str(each["level"]),
            " ".join(str(each["message"]).split()),
            " ".join(str(each["help"]).split()) if each.get("help") else None,
            sum(beginning <= (each["line"], each["column"]) for beginning in beginnings[1:]),
        )
        for each in told
        if each["rule_name"] not in NOT_APPLICABLE
    )
    return tuple(dict.fromkeys(found))


def _beginnings(sql: str) -> list[tuple[int, int]]:
    """Return the line and the column, from 0, at which each statement begins, its leading comments included."""
    beginnings, at = [], 0
    for statement in statements.split(sql):
        at = sql.index(statement, at)
        beginnings.append((sql.count("\n", 0, at), at - sql.rfind("\n", 0, at) - 1))
        at += len(statement)
    return beginnings
