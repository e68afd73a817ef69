"""What the how-to guides and the tutorial tell people to type is typed here, in order, and does what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedschema import projects
from fedschema.embedded import EmbeddedServer, throwaway_server
from tests.conftest import Server, drop_roles, janitor_of
from tests.docs.comparing import differences
from tests.docs.pages import PAGES, Page, page
from tests.docs.preparing import Preparation
from tests.docs.presupposed import PREPARATIONS
from tests.docs.shell import Shell, programs, shell
from tests.docs.steps import Step, mentions, steps

#: What a page shows of a command that does not succeed.
_FAILURES = ("error:", "ERROR:", "FAILED")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with programs(tmp_path_factory.mktemp("programs")) as folder:
        yield folder


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that nobody has used before, of the packaged version: the pages that need it are about that one."""
    with throwaway_server() as running:
        yield Server(running.host, running.port, running.user, running.password)


@pytest.fixture
def typed_on(server: Server, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The variables of a shell that lead to an empty database."""
    name = "fedschema_test_page"
    if _preparation(request).own_server:
        server = request.getfixturevalue("own_server")
    with janitor_of(server, name):
        place = f"{server.host}:{server.port}/{name}"
        url = f"postgresql://{server.user}:{server.password}@{place}"
        yield {"FEDSCHEMA_DATABASE_URL": url, "ADMIN": url, "SERVER": place}
    drop_roles(server, name)


def _preparation(request: pytest.FixtureRequest) -> Preparation:
    return PREPARATIONS[request.node.callspec.params["name"]]


@pytest.fixture
def typist(path: Path, tmp_path: Path, typed_on: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Shell]:
    """A shell where the page begins."""
    preparation = _preparation(request)
    directory = tmp_path / "page"
    directory.mkdir()
    if preparation.place != "directory":
        projects.create(directory)
    if preparation.place == "embedded":
        del typed_on["FEDSCHEMA_DATABASE_URL"]
    (tmp_path / "shell").mkdir()
    with shell(path, tmp_path / "shell", directory, typed_on) as opened:
        yield opened
    if preparation.place == "embedded":
        EmbeddedServer(directory / ".fedschema").stop()


@pytest.mark.parametrize("name", PREPARATIONS)
def test_page_does_what_it_shows(name: str, typist: Shell) -> None:
    preparation = PREPARATIONS[name]
    for command in preparation.before:
        _type_quietly(typist, command)
    for step_name, step in _named(name):
        if step_name in preparation.untried:
            continue
        for command in preparation.earlier.get(step_name, ()):
            _type_quietly(typist, command)
        _do(typist, step_name, step, preparation)
        for command in preparation.later.get(step_name, ()):
            _type_quietly(typist, command)


def _named(name: str) -> list[tuple[str, Step]]:
    """Return the steps of a page, the second of a name with a number behind it."""
    seen: Counter[str] = Counter()
    named = []
    heading = PREPARATIONS[name].mentions
    for step in [*(mentions(page(name), heading) if heading else ()), *steps(page(name))]:
        seen[step.name] += 1
        named.append((step.name if seen[step.name] == 1 else f"{step.name} #{seen[step.name]}", step))
    return named


def _do(typist: Shell, name: str, step: Step, preparation: Preparation) -> None:
    if name in preparation.files:
        _type_quietly(typist, _into_file(preparation, name, step.text))
        return
    command = step.text
    if step.kind == "sql":
        connection = preparation.connections.get(name, preparation.connection)
        command = f"psql -q -v ON_ERROR_STOP=1 \"${connection}\" <<'END-OF-BLOCK'\n{command}END-OF-BLOCK"
    elif step.kind == "python":
        command = f"python - <<'END-OF-BLOCK'\n{command}END-OF-BLOCK"
    for text, other in preparation.instead.items():
        command = command.replace(text, other)
    status, printed = typist.type_in(command, preparation.answers.get(name, ""))
    shown = step.output or ""
    fails = name in preparation.unlike or any(line.startswith(_FAILURES) for line in shown.splitlines())
    assert (status != 0) == fails, f"{name}: status {status}\n{printed}"
    if step.output is not None:
        different = differences(shown, printed, whole=step.whole, ordered=name not in preparation.unordered)
        assert not different, f"{name}\n{different}"


def _into_file(preparation: Preparation, name: str, text: str) -> str:
    """Return the command that puts a block into its file."""
    place = preparation.files[name]
    if isinstance(place, str):
        path, _, begin = place.partition("|")
        keep = f"sed -i '/^{begin}/,$d' {path}" if begin else f"mkdir -p $(dirname {path}) && : > {path}"
    else:
        path, text = place.file(text)
        keep = f": > {path}"
    return f"{keep} && cat >> {path} <<'END-OF-BLOCK'\n{text}END-OF-BLOCK"


def _type_quietly(typist: Shell, command: str) -> None:
    status, printed = typist.type_in(command)
    assert status == 0, f"{command}\n{printed}"


# -------------------------------------------------------------------------------------------- that nothing is missed


def test_every_guide_is_typed() -> None:
    guides = {each.name for each in PAGES if each.name.startswith(("docs/how-to/", "docs/tutorial/"))}

    assert guides <= PREPARATIONS.keys()


@pytest.mark.parametrize("name", PREPARATIONS)
def test_preparation_names_what_is_on_the_page(name: str) -> None:
    assert PREPARATIONS[name].names() <= {step_name for step_name, _ in _named(name)}


@pytest.mark.parametrize("name", PREPARATIONS)
def test_no_call_of_a_program_in_a_block_is_overlooked(name: str) -> None:
    """Count them in another way: by the lines that `Page.typed` finds, which knows nothing of steps."""
    shown = page(name)
    typed = {line for step in steps(shown) for line in step.text.splitlines()}
    blocks = [line for line in shown.typed() if line not in shown.code_spans()]

    assert {line for line in blocks if line.startswith(("fedschema ", "alembic "))} - typed == set()


def test_page_that_lies_is_noticed() -> None:
    assert differences("hr: upgraded a -> b (0.02 s)", "hr: upgraded a -> b (1.13 s)\n") is None
    assert differences("hr: upgraded a -> b (0.02 s)", "hr: unchanged, at b\n") is not None
    assert differences("one\n…\nfour", "one\ntwo\nthree\nfour\n") is None
    assert differences("one\n…\nfour", "one\ntwo\nthree\n") is not None
    assert differences("two", "one\ntwo\nthree\n") is not None
    assert differences("two", "one\ntwo\nthree\n", whole=False) is None
    assert differences("two\none", "one\ntwo\n") is not None
    assert differences("two\none", "one\ntwo\n", ordered=False) is None


def test_page_of_every_kind_of_block_is_read(tmp_path: Path) -> None:
    indented = "Do:\n\n    fedschema init\n\n```sql\nSELECT 1;\n```\n\n     ?column?\n    ----------\n\n"
    text = f"{indented}```console\n$ a <<'E'\nb\nE\nc\n$ d\n```\n"
    (tmp_path / "page.md").write_text(text, encoding="utf-8")

    found = steps(Page(tmp_path / "page.md"))

    assert [(step.kind, step.text.strip(), step.output) for step in found] == [
        ("command", "fedschema init", None),
        ("sql", "SELECT 1;", " ?column?\n----------\n"),
        ("command", "a <<'E'\nb\nE", "c"),
        ("command", "d", None),
    ]
