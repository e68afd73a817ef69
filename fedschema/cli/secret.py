"""`fedschema secret …`: OAuth clients and API keys of departments, encrypted before they leave this process."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fedschema import credentials
from fedschema.cli import output
from fedschema.cli.confirmation import ask_for_id
from fedschema.cli.secret_values import (
    KEY_VARIABLE,
    current_key,
    new_key_for,
    print_secret,
    read_file,
    refuse_existing,
    secret_from,
    write_file,
)
from fedschema.cli.session import DepartmentId, JsonOption, YesOption, session_of
from fedschema.credentials import ApiKey, OAuthClient, Part, SecretName, StoredSecret
from fedschema.department import Department
from fedschema.durations import parse_future
from fedschema.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Secrets of departments: OAuth clients and API keys, encrypted.")

ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="The service: google, openai.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", metavar="NAME", help="The service's API key of that name, not its OAuth client.")
]
_NEVER_IN_JSON = "a secret's value is never in JSON; leave --json out, or write it to a file with --output"


@app.command("set")
def set_secret(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    department: DepartmentId,
    service: ServiceArgument,
    *,
    key: KeyOption = None,
    client_id: Annotated[str | None, typer.Option("--client-id", help="The OAuth client's id.")] = None,
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read the secret from standard input.")] = False,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", help="Read the secret from this file, which is yours alone.")
    ] = None,
    refresh_token_file: Annotated[
        Path | None, typer.Option("--refresh-token-file", help="Read the OAuth client's refresh token from this file.")
    ] = None,
    app_name: Annotated[str | None, typer.Option("--app-name", help="What the OAuth client is called there.")] = None,
    scopes: Annotated[str | None, typer.Option("--scopes", help="What it may do there: mail.read,mail.send.")] = None,
    expires: Annotated[str | None, typer.Option("--expires", help="When it ends: 30d, 12h, or 2027-01-31.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Store an OAuth client, or with --key an API key, in the place of what was stored under that name.

    The secret is typed at a prompt, or comes from stdin or a file; with --refresh-token-file alone only that is new.
    """
    name = SecretName.parse(department, service, key)
    until = parse_future(expires, datetime.now(UTC)) if expires else None
    if key is not None and (client_id or app_name or refresh_token_file):
        raise UsageError(
            "--client-id, --app-name and --refresh-token-file are of OAuth clients, and --key of API keys",
            f"fedschema secret set {department} {service} --key {key} --secret-stdin",
        )
    encryption_key = current_key()
    session = session_of(context)
    token = read_file(refresh_token_file) if refresh_token_file else None
    asked = token is None or secret_file or secret_stdin
    value = secret_from(secret_file, stdin=secret_stdin) if asked else None
    secret: ApiKey | OAuthClient
    if key is not None and value is not None:
        secret = ApiKey(value, _scopes(scopes), until)
    else:
        client_id, app_name = _checked(client_id, "--client-id"), _checked(app_name, "--app-name")
        secret = OAuthClient(client_id, value, token, app_name, _scopes(scopes), until)
    stored = credentials.store(session.conninfo, session.compiler, encryption_key, name, secret)
    if as_json:
        output.document(_as_json(stored))
    else:
        output.say(f"{name} is stored, under key {stored.key_id}")


def _checked(text: str | None, option: str) -> str | None:
    return None if text is None else credentials.parse_name(text, option)


def _scopes(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(credentials.parse_name(scope.strip(), "a scope of --scopes") for scope in text.split(","))


@app.command()
def get(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    department: DepartmentId,
    service: ServiceArgument,
    *,
    key: KeyOption = None,
    refresh_token: Annotated[
        bool, typer.Option("--refresh-token", help="The OAuth client's refresh token, not its secret.")
    ] = False,
    output_file: Annotated[
        Path | None, typer.Option("--output", help="Write it to this new file, for you alone, instead of printing it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Decrypt a secret and print it alone; that it was read is put on record."""
    name = SecretName.parse(department, service, key)
    if key is not None and refresh_token:
        raise UsageError("an API key has no refresh token", f"fedschema secret get {department} {service}")
    session = session_of(context)
    if not as_json or output_file:
        _hand_out(context, name, Part.REFRESH_TOKEN if refresh_token else None, output_file)
    if as_json:
        if not output_file:
            output.note(_NEVER_IN_JSON)
        output.document(_as_json(credentials.find(session.conninfo, session.compiler, name)))


def _hand_out(context: typer.Context, name: SecretName, part: Part | None, file: Path | None) -> None:
    encryption_key = current_key()
    if file:
        refuse_existing(file)
    session = session_of(context)
    value = credentials.reveal(session.conninfo, session.compiler, encryption_key, name, part)
    if file:
        write_file(file, value)
        output.note(f"{name}: in {file}")
    else:
        print_secret(value)


@app.command("list")
def list_secrets(
    context: typer.Context,
    department: Annotated[
        Department | None,
        typer.Argument(parser=Department.parse, metavar="[ID]", help="The department; all when none is named."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List what is stored and which key it is under; no key is needed."""
    session = session_of(context)
    found = credentials.listing(session.conninfo, session.compiler, department)
    if as_json:
        output.document([_as_json(one) for one in found])
        return
    if not found:
        output.note("no secret is stored; to store one: fedschema secret set hr openai --key default --secret-stdin")
        return
    headings = ("department", "service", "kind", "name", "key", "expires", "created", "rotated")
    output.table(headings, [_row(one) for one in found])


def _row(one: StoredSecret) -> tuple[str, ...]:
    return (
        one.department_id,
        one.service_name,
        "oauth" if one.api_key_name is None else "api key",
        one.api_key_name or one.oauth_client_id or "-",
        one.key_id or "unknown",
        output.moment(one.ends_at),
        output.moment(one.created_at),
        output.moment(one.rotated_at),
    )


@app.command()
def remove(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    department: DepartmentId,
    service: ServiceArgument,
    *,
    key: KeyOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a secret; an OAuth client goes with its refresh token."""
    name = SecretName.parse(department, service, key)
    session = session_of(context)
    credentials.find(session.conninfo, session.compiler, name)
    if not yes:
        output.note(f"this deletes {name}")
        if not ask_for_id(department, "delete it"):
            which = f"{service} --key {key}" if key else service
            raise UsageError(
                f"{name} was not deleted: the id was not typed", f"fedschema secret remove {department} {which} --yes"
            )
    credentials.remove(session.conninfo, session.compiler, name)
    if as_json:
        document = {"department_id": department.id, "service_name": service, "api_key_name": key, "removed": True}
        output.document(document)
    else:
        output.say(f"{name} is deleted")


@app.command("rotate-key")
def rotate_key(
    context: typer.Context,
    *,
    new_key_file: Annotated[
        Path | None,
        typer.Option("--new-key-file", help="The new key is in this file; if there is none yet, make one there."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Re-encrypt every secret of every department under a new key, in one transaction.

    The current key is OAUTH_ENCRYPTION_KEY, the new one OAUTH_ENCRYPTION_KEY_NEW or in the file.
    """
    old = current_key()
    session = session_of(context)
    conninfo = session.conninfo
    with new_key_for(new_key_file) as (new, made):
        if old.id == new.id:
            raise UsageError("the new key is the old one", "fedschema secret rotate-key --new-key-file FILE")
        done = credentials.rotate(conninfo, session.compiler, old, new)
    if as_json:
        output.document(
            {
                "from_key_id": old.id.hex(),
                "to_key_id": new.id.hex(),
                "reencrypted": done.reencrypted,
                "already": done.verified,
                "departments": done.departments,
            }
        )
    else:
        already = f", {done.verified} were under it already" if done.verified else ""
        output.say(f"{done.reencrypted} values re-encrypted from key {old.id.hex()} to {new.id.hex()}{already}")
    if made:
        output.note(f"the new key is in {new_key_file}")
    output.note(f"deployments now need the new key as {KEY_VARIABLE}")


def _as_json(one: StoredSecret) -> dict[str, Any]:
    """Return the row without any value; ids as text."""
    document = {name: getattr(one, name) for name in one.__slots__}
    return document | {"id": str(one.id), "department_uuid": str(one.department_uuid)}
