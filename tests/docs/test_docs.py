"""The documentation fails the suite when it lies: what it names has to exist, and what exists has to be named."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from alembic.config import CommandLine
from alembic.operations import Operations

import fedschema
import fedschema.operations
from fedschema.checks import REMARKS
from fedschema.cli.app import app
from fedschema.doctor import DOCTOR_CHECKS
from fedschema.errors import FedschemaError
from fedschema.logins import LoginKind
from fedschema.probe import PROBE_CHECKS
from fedschema.validation import BY_LOOKING
from tests.docs.pages import DOCS, PAGES, ROOT, Page, page, rows, spans

EVERY_PAGE = pytest.mark.parametrize("shown", PAGES, ids=[shown.name for shown in PAGES])

CLI = "docs/reference/cli.md"
#: Files that a page names and that are not there: the reader makes them, or the old generator had them.
OTHER_FILES = {
    "docs/explanation/seed-errata.md": {"tests/test-rls.sql"},
}
FOLDERS = ("fedschema", "alembic", "templates", "tests", "docs", "benchmarks", ".ci")


# ------------------------------------------------------------------------------------------------------------- links


@EVERY_PAGE
def test_every_relative_link_leads_somewhere(shown: Page) -> None:
    broken = []
    for link in shown.links():
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (shown.path.parent / place).resolve() if place else shown.path
        if not target.exists() or (anchor and anchor not in Page(target).anchors()):
            broken.append(link)

    assert broken == []


def test_every_page_is_listed_in_the_index() -> None:
    index = page("docs/index.md")
    listed = {(DOCS / link.partition("#")[0]).resolve() for link in index.links()}

    assert set(DOCS.rglob("*.md")) - {index.path} <= listed


@EVERY_PAGE
def test_every_file_that_is_named_exists(shown: Page) -> None:
    folders = "|".join(map(re.escape, FOLDERS))
    named = [span for span in shown.code_spans() if re.fullmatch(rf"({folders})/[\w./-]*", span)]
    allowed = OTHER_FILES.get(shown.name, set())

    assert {span for span in named if not (ROOT / span).exists()} == allowed


@EVERY_PAGE
def test_every_make_target_that_is_named_exists(shown: Page) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {found[1] for line in shown.typed() if (found := re.match(r"(?:[A-Z_]+=\S+ )*make ([a-z-]+)", line))}

    assert named <= targets


# ---------------------------------------------------------------------------------------------------------- commands


def _root() -> Any:
    return typer.main.get_command(app)


def _parse(command: Any, words: list[str], parent: Any = None) -> None:
    """Parse words as the command line does, without running anything."""
    context = command.make_context(words[0], list(words[1:]), parent=parent)
    remaining = [*getattr(context, "_protected_args", []), *context.args]
    if hasattr(command, "commands") and remaining:
        name, subcommand, rest = command.resolve_command(context, remaining)
        _parse(subcommand, [name, *rest], context)


@EVERY_PAGE
def test_every_command_that_is_shown_can_be_typed(shown: Page) -> None:
    for words in shown.commands():
        if words[0] == "alembic":
            _parse_alembic(words[1:])
        elif not _only_names_a_command(words[1:]):
            _parse(_root(), words)


def _parse_alembic(words: list[str]) -> None:
    if words not in [["upgrade"], ["downgrade"], ["stamp"]]:  # prose, naming a command
        CommandLine(prog="alembic").parser.parse_args(words)


def _only_names_a_command(words: list[str]) -> bool:
    """Tell whether words name a command and say nothing else, as prose does: `fedschema tenant add`."""
    command = _root()
    for word in words:
        if word not in getattr(command, "commands", {}):
            return False
        command = command.commands[word]
    return True


def test_a_command_that_does_not_exist_is_noticed() -> None:
    for line in ("fedschema tenant paint hr", "fedschema upgrade hr --sideways", "fedschema tenant show HR"):
        with pytest.raises((typer.TyperException, FedschemaError)):
            _parse(_root(), line.split())


def test_pages_do_show_commands() -> None:
    shown = [words for each in PAGES for words in each.commands()]

    assert sum(1 for words in shown if words[0] == "fedschema") > 100
    assert sum(1 for words in shown if words[0] == "alembic") > 30


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands") or (command.invoke_without_command and path != "fedschema"):
        yield path, command
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from _commands(subcommand, f"{path} {name}")


def test_reference_lists_every_command_and_no_other() -> None:
    documented = [heading.strip("`") for heading in page(CLI).headings() if heading.startswith("`fedschema ")]

    assert sorted(documented) == sorted(name for name, _ in _commands(_root(), "fedschema"))


@pytest.mark.parametrize("name", ["fedschema", *(name for name, _ in _commands(_root(), "fedschema"))])
def test_reference_lists_every_option_of_a_command_and_no_other(name: str) -> None:
    command = dict(_commands(_root(), "fedschema")).get(name, _root())
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
    table = rows(page(CLI).section(f"`{name}`").partition("\n## ")[0].partition("\n### ")[0])

    assert {option for row in table for option in spans(row[0])} == options - {"--help", "-h"}


# ------------------------------------------------------------------------------------------------------------ errors


def _errors(base: type[FedschemaError]) -> Iterator[type[FedschemaError]]:
    if base.__module__.startswith("fedschema"):
        yield base
    for error in base.__subclasses__():
        yield from _errors(error)


def test_reference_lists_every_error_and_no_other() -> None:
    for module in pkgutil.walk_packages(fedschema.__path__, "fedschema."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    raised = {(error.code, str(error.exit_status), error.__name__) for error in set(_errors(FedschemaError))}
    listed = [tuple(cell.strip("`") for cell in row[:3]) for row in rows(page("docs/reference/errors.md").text)]
    documented = [row for row in listed if not row[0].isdigit()]

    assert sorted(documented) == sorted(raised)


def test_errors_do_not_share_a_code() -> None:
    codes = [error.code for error in set(_errors(FedschemaError))]

    assert sorted(codes) == sorted(set(codes))


# -------------------------------------------------------------------------------------------------- revisions' helpers


def _registered() -> set[str]:
    """Return what Alembic makes one of our classes of when it is called."""
    made = {name: getattr(method, "__globals__", {}).get("op_cls", object) for name, method in vars(Operations).items()}
    return {name for name, kind in made.items() if kind.__module__.startswith("fedschema.")}


def test_reference_lists_every_operation_and_no_other() -> None:
    headings = page("docs/reference/operations.md").headings()

    assert len(_registered()) > 20
    assert {heading.removeprefix("op.") for heading in headings if heading.startswith("op.")} == _registered()


def test_help_of_every_operation_says_what_it_does() -> None:
    told = {name: getattr(Operations, name).__doc__ or "" for name in _registered()}

    assert [name for name, text in told.items() if not text.partition("\n")[0].endswith((".", ":"))] == []
    assert len({text.partition("\n")[0] for text in told.values()}) == len(told)


@EVERY_PAGE
def test_every_operation_that_is_named_exists(shown: Page) -> None:
    named = set(re.findall(r"\bop\.([a-z_]+)", shown.text))

    assert [name for name in named if not hasattr(Operations, name)] == []


# ---------------------------------------------------------------------------------------------------------- settings


def test_every_variable_of_the_settings_is_read_by_the_code() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in [*(ROOT / "fedschema").rglob("*.py"), ROOT / "tests/conftest.py"]
    )
    table = rows(page("docs/reference/settings.md").section("Environment variables"))
    documented = [name for row in table for name in spans(row[0])]

    assert len(documented) > 10
    assert [name for name in documented if f'"{name}"' not in code] == []


# ------------------------------------------------------------------------------------------------------ SQL interface


def _templates(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "templates" / folder).rglob("*.j2")))


def test_reference_lists_every_function_of_the_control_plane_and_no_other() -> None:
    made = set(re.findall(r"CREATE (?:FUNCTION|PROCEDURE) (federation\.\w+)\(", _templates("federation")))
    section = page("docs/reference/sql-functions.md").section("In the control plane")

    assert {spans(row[0])[0].partition("(")[0] for row in rows(section)} == made


def test_reference_lists_every_function_of_a_department_and_no_other() -> None:
    made = set(re.findall(r"CREATE FUNCTION \{\{ department\.schema \| ident \}\}\.(\w+)\(", _templates("tenant")))
    section = page("docs/reference/sql-functions.md").section("In a department's schema")

    assert {spans(row[0])[0].partition(".")[2].partition("(")[0] for row in rows(section)} == made


def test_reference_lists_every_sqlstate_and_no_other() -> None:
    raised = set(re.findall(r"'(ZD\d{3})'", _templates("federation")))
    section = page("docs/reference/sql-functions.md").section("SQLSTATEs")

    assert {row[0] for row in rows(section)} == raised


def test_reference_lists_every_check_and_no_other() -> None:
    checks = {check.name for check in (*BY_LOOKING, *REMARKS, *PROBE_CHECKS, *DOCTOR_CHECKS)}

    assert {spans(row[0])[0] for row in rows(page("docs/reference/checks.md").text) if spans(row[0])} == checks


def test_reference_lists_every_event_and_no_other() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "fedschema").rglob("*.py"))
    written = set(
        re.findall(
            r"""['"]((?:CROSS_DEPT|GATEWAY|ADMINISTRATOR|DEPARTMENT|SECRETS?|SCHEMA|ROWS|BACKUP|FEDERATION)_[A-Z_]+)['"]""",
            code,
        )
    )
    written |= set(re.findall(r"'((?:CROSS_DEPT|GATEWAY|RETENTION)_[A-Z_]+)'", _templates("federation")))
    written |= {f"{kind.name}_PASSWORD_ROTATED" for kind in LoginKind}  # fedschema.logins puts these together
    listed = {spans(row[0])[0] for row in rows(page("docs/reference/events.md").text) if spans(row[0])}

    assert listed == {event for event in written if not event.endswith(("_KEY", "_ID"))}


# ------------------------------------------------------------------------------------------------------------ tables


_TABLE = re.compile(
    r"^ *CREATE TABLE (?:\{\{ department\.schema \| ident \}\}\.|(federation\.))(\w+) \((.*?)\n *\);",
    re.DOTALL | re.MULTILINE,
)


_COLUMN = re.compile(r'^ {4}"?([a-z]\w*)"? (varchar\(\d+\)|numeric\(\d+,\d+\)|\w+)(.*)$', re.MULTILINE)


def _made_tables() -> dict[str, list[str]]:
    """The columns of every table that a template makes, in their order, with their types; `!` means NOT NULL."""
    found = {}
    for schema, table, body in _TABLE.findall(_templates("tenant") + _templates("federation")):
        columns = [f"{name} {kind}{'!' * ('NOT NULL' in rest)}" for name, kind, rest in _COLUMN.findall(body)]
        found[f"{schema}{table}"] = columns
    return {name: columns for name, columns in found.items() if not name.endswith("alembic_version")}


def test_reference_lists_the_columns_of_every_table() -> None:
    text = page("docs/reference/tables.md").text
    listed = re.findall(r"^### (\S+)\n(?:(?!^###).)*?^Columns: (.*?)\.$", text, re.DOTALL | re.MULTILINE)

    assert {name: columns.replace("`", "").split(", ") for name, columns in listed} == _made_tables()


def test_reference_lists_the_indexes_of_every_table() -> None:
    made = set(re.findall(r"CREATE INDEX (\w+)", _templates("tenant")))
    listed = re.findall(r"^Indexes: (.*)\.$", page("docs/reference/tables.md").text, re.MULTILINE)

    assert {name for line in listed for name in spans(line)} == made


# --------------------------------------------------------------------------------------------------------- this version


def test_changelog_names_this_version() -> None:
    assert fedschema.__version__ in page("CHANGELOG.md").text
