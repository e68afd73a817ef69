"""Which project and which database are meant, whoever asks."""

from __future__ import annotations

import shutil
import traceback
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from fedschema.addresses import conninfo_of, describe
from fedschema.errors import FedschemaError, InvalidDatabaseUrl, ProjectNotFound, UsageError
from fedschema.settings import LIBPQ_VARIABLES, DatabaseChoice, Project, Settings, choose_database
from tests.conftest import PROJECT, ROOT

SECRET = "secret-word"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of the test's own: as far as settings go, its alembic.ini."""
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    return Project(tmp_path / "alembic.ini")


def with_url(project: Project, url: str) -> Project:
    text = project.ini.read_text(encoding="utf-8")
    line = "# sqlalchemy.url = postgresql://user@host:5432/database"
    assert line in text
    project.ini.write_text(text.replace(line, f"sqlalchemy.url = {url}"), encoding="utf-8")
    return project


def choose(project: Project, option: str | None = None, **environment: str) -> DatabaseChoice:
    return choose_database(option, environment, project, Path("/somewhere"))


# ----------------------------------------------------------------------------------------------- which database it is


def test_order_of_the_places_where_a_database_is_named(project: Project) -> None:
    with_url(project, "postgresql://ini/db")
    environment = {
        "FEDSCHEMA_DATABASE_URL": "postgresql://ours/db",
        "DATABASE_URL": "postgresql://theirs/db",
        "PGHOST": "libpq",
    }
    places = []

    option: str | None = "postgresql://option/db"
    while True:
        choice = choose(project, option, **environment)
        places.append((choice.source, choice.url, choice.embedded))
        if choice.embedded:
            break
        if option:
            option = None
        elif "FEDSCHEMA_DATABASE_URL" in environment:
            del environment["FEDSCHEMA_DATABASE_URL"]
        elif "DATABASE_URL" in environment:
            del environment["DATABASE_URL"]
        elif choice.url:
            shutil.copy(ROOT / "alembic.ini", project.ini)
        else:
            del environment["PGHOST"]

    assert places == [
        ("--database-url", "postgresql://option/db", None),
        ("FEDSCHEMA_DATABASE_URL", "postgresql://ours/db", None),
        ("DATABASE_URL", "postgresql://theirs/db", None),
        ("sqlalchemy.url in alembic.ini", "postgresql://ini/db", None),
        ("PGHOST", "", None),
        ("the embedded PostgreSQL", "", Path("/somewhere/.fedschema")),
    ]


@pytest.mark.parametrize("variable", LIBPQ_VARIABLES)
def test_any_variable_of_libpq_that_points_somewhere_counts(variable: str, project: Project) -> None:
    choice = choose(project, **{variable: "5433"})

    assert (choice.source, choice.url, choice.embedded) == (variable, "", None)


@pytest.mark.parametrize("variable", ["PGPASSWORD", "PGSSLMODE", "PGAPPNAME", "PGPASSFILE", "PGOPTIONS", "PG"])
def test_variables_that_only_say_how_do_not_count(variable: str, project: Project) -> None:
    assert choose(project, **{variable: "x"}).embedded is not None


def test_empty_value_counts_as_unset(project: Project) -> None:
    with_url(project, "")

    choice = choose(project, "", FEDSCHEMA_DATABASE_URL="", DATABASE_URL="", PGHOST="", PGSERVICE="")

    assert choice.embedded == Path("/somewhere/.fedschema")


def test_projects_own_alembic_ini_names_no_database() -> None:
    """The default is the embedded server."""
    assert choose(PROJECT).embedded is not None


def test_url_with_a_percent_sign_is_written_in_alembic_ini_as_alembic_asks(project: Project) -> None:
    with_url(project, "postgresql://user:a%%40b@host/db")

    assert choose(project).url == "postgresql://user:a%40b@host/db"


def test_url_in_alembic_ini_with_a_bare_percent_sign_is_one_clear_message(project: Project) -> None:
    with_url(project, f"postgresql://user:{SECRET}%40b@host/db")

    with pytest.raises(UsageError, match=r"alembic\.ini") as caught:
        choose(project)

    assert SECRET not in str(caught.value) + str(caught.value.hint)


def test_password_is_not_shown_when_a_choice_is(project: Project) -> None:
    assert SECRET not in repr(choose(project, f"postgresql://user:{SECRET}@host/db"))


# -------------------------------------------------------------------------------------------------- how it is written


def parsed(url: str) -> dict[str, object]:
    """Return what libpq gets to see of a URL, without what fedschema adds."""
    given = conninfo_to_dict(conninfo_of(DatabaseChoice("a test", url)))
    assert given.pop("fallback_application_name") == "fedschema"
    return dict(given)


EXPECTED = {"user": "u", "password": "p", "host": "h", "port": "5433", "dbname": "d", "connect_timeout": "10"}


@pytest.mark.parametrize(
    "scheme",
    [
        "postgresql",
        "postgres",
        "postgresql+psycopg",
        "postgresql+psycopg2",
        "postgresql+asyncpg",
        "postgres+psycopg",
        "postgresql+psycopg_async",
    ],
)
def test_url_is_taken_as_operators_have_it(scheme: str) -> None:
    assert parsed(f"{scheme}://u:p@h:5433/d") == EXPECTED


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://h/d?sslmode=require", {"sslmode": "require"}),
        ("postgresql+psycopg://h/d?sslmode=verify-full&sslrootcert=/ca.pem", {"sslrootcert": "/ca.pem"}),
        ("postgresql://h/d?passfile=/run/pgpass", {"passfile": "/run/pgpass"}),
        ("postgresql://?service=fleet", {"service": "fleet"}),
        ("postgresql:///d?host=/run/postgresql&port=5433", {"host": "/run/postgresql", "port": "5433"}),
        ("postgresql://%2Frun%2Fpostgresql/d", {"host": "/run/postgresql", "dbname": "d"}),
        ("postgresql://a:1,b:2,c/d?target_session_attrs=read-write", {"host": "a,b,c", "port": "1,2,"}),
        ("postgres://a,b:5433/d", {"host": "a,b", "port": ",5433"}),
        ("postgresql://[::1]:5433/d", {"host": "::1", "port": "5433"}),
        ("postgresql://u:%40%2F%3A%25@h/d", {"password": "@/:%"}),
        ("postgresql://u%40corp@h/d", {"user": "u@corp"}),
        ("postgresql://h/d?connect_timeout=3", {"connect_timeout": "3"}),
        ("postgresql://h/d?application_name=x", {"application_name": "x"}),
        ("postgresql://h/d?options=-c%20search_path%3Dx", {"options": "-c search_path=x"}),
        ("postgresql:///d", {"dbname": "d"}),
        ("postgresql://", {}),
        ("host=h port=5433 dbname=d", {"host": "h", "port": "5433", "dbname": "d"}),
        ("service=fleet", {"service": "fleet"}),
        ("host=h password=a+b://c dbname=d", {"password": "a+b://c"}),
    ],
)
def test_options_of_libpq_are_kept(url: str, expected: dict[str, str]) -> None:
    assert expected.items() <= parsed(url).items()


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{SECRET}@h/d",
        f"sqlite:///{SECRET}",
        f"{SECRET}",
        f"postgresql://u:{SECRET}@h/d?nonsense=1",
        f"postgresql://u:{SECRET}@h:port/d",
        f"postgresql://u:{SECRET}@h:0/d",
        f"postgresql://u:{SECRET}@h:70000/d",
        f"postgresql://u:{SECRET}@[::1/d",
        f"postgresql://u:{SECRET}%4@h/d",
        f"postgresql://u:x@{SECRET}@h/d",
        f"postgresql://u:a/{SECRET}@h/d",
        f"postgresql://u:{SECRET}@h/d?sslmode=always",
        f"postgresql://u:{SECRET}@h/d?connect_timeout=soon",
        f"host=h password={SECRET} nonsense=1",
        f"host=h password='{SECRET}",
        f"host=h password={SECRET} =",
    ],
)
def test_url_that_cannot_be_read_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidDatabaseUrl) as caught:
        conninfo_of(DatabaseChoice("DATABASE_URL", url))

    assert caught.value.message.startswith("the database URL from DATABASE_URL cannot be read: ")
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://u:{SECRET}@h:5433/d", "h:5433/d"),
        (f"postgresql://u:{SECRET}@h", "h"),
        (f"postgresql://u:{SECRET}@a:1,b:2/d", "a,b:1,2/d"),
        (f"postgresql:///d?host=/run&password={SECRET}", "/run/d"),
        (f"service=fleet password={SECRET}", "service fleet"),
        (f"dbname=d password={SECRET}", "the default socket/d"),
    ],
)
def test_database_is_described_without_its_password(url: str, shown: str) -> None:
    assert describe(conninfo_of(DatabaseChoice("a test", url))) == shown


# ------------------------------------------------------------------------------------------------------ which project


def test_project_is_the_nearest_upwards(project: Project, tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    assert Project.find(None, {}, below) == project
    shutil.copy(ROOT / "alembic.ini", tmp_path / "a")
    assert Project.find(None, {}, below).ini == tmp_path / "a" / "alembic.ini"


def test_alembic_ini_of_something_else_is_passed_over(project: Project, tmp_path: Path) -> None:
    below = tmp_path / "other"
    below.mkdir()
    (below / "alembic.ini").write_text("[alembic]\nscript_location = alembic\n", encoding="utf-8")

    assert Project.find(None, {}, below) == project


def test_project_that_is_named_comes_before_the_nearest(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(ROOT / "alembic.ini", other)
    named = other / "alembic.ini"

    assert Project.find(named, {"ALEMBIC_CONFIG": str(project.ini)}, tmp_path).ini == named
    assert Project.find(None, {"ALEMBIC_CONFIG": str(named)}, tmp_path).ini == named
    assert Project.find(None, {"ALEMBIC_CONFIG": ""}, tmp_path) == project


def test_without_a_project_upwards_it_is_the_one_that_came_with_fedschema() -> None:
    assert Project.find(None, {}, Path("/")) == PROJECT


@pytest.mark.parametrize("content", [None, "", "[alembic]\n", "no section\n", "[federation\n", "[a]\nx=1\nx=2\n"])
def test_file_that_is_no_project_is_refused(content: str | None, tmp_path: Path) -> None:
    named = tmp_path / "alembic.ini"
    if content is not None:
        named.write_text(content, encoding="utf-8")

    with pytest.raises(ProjectNotFound) as caught:
        Project.find(named, {}, tmp_path)

    assert str(named) in caught.value.message
    assert "--config" in str(caught.value.hint)


def test_directory_in_the_place_of_alembic_ini_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").mkdir()

    with pytest.raises(ProjectNotFound):
        Project.find(tmp_path / "alembic.ini", {}, tmp_path)


def test_spoilt_alembic_ini_upwards_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[federation\n[alembic]\n", encoding="utf-8")
    try:
        found = Project.find(None, {}, tmp_path)
    except FedschemaError as error:
        assert "alembic.ini" in error.message  # noqa: PT017 - either answer will do, a traceback will not
    else:
        assert found == PROJECT


def test_settings_of_a_process_come_from_where_it_is(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    settings = Settings.load()
    assert settings.project == project
    assert settings.database.embedded == tmp_path / ".fedschema"
    monkeypatch.setenv("DATABASE_URL", "postgresql://theirs/db")
    assert Settings.load().database.source == "DATABASE_URL"
    assert Settings.load(database_url="postgresql://h/d").database.source == "--database-url"
    assert Settings.load(config=PROJECT.ini).project == PROJECT


def test_places_of_a_project_hang_together(project: Project) -> None:
    assert project.root == project.ini.parent
    assert project.templates == project.root / "templates"
