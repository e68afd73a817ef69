"""Whatever is done to a fleet, in whatever order, at once, killed or ended: the laws of `Fleet.check` hold after it.

Some sequences, always the same, are run with the other tests. FEDSCHEMA_TEST_SEQUENCES=200 draws so many new ones, and
longer ones; see CONTRIBUTING.md. What is drawn never depends on what was found: how far something came before it was
killed is chance.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from pytest_postgresql.executors import NoopExecutor

from fedschema.errors import FedschemaError
from fedschema.validation import validate
from tests.conftest import Database, Server
from tests.sequences.fleet import HEAD, IDS, Action, Fleet, Place
from tests.tenancy.conftest import eventually, forking, sessions
from tests.validation.conftest import fresh_database, told

#: How many sequences are drawn anew; none of them: a few that are always the same.
DRAWN = int(os.environ.get("FEDSCHEMA_TEST_SEQUENCES", "0"))

DEPARTMENTS = st.sampled_from(IDS)
ACTIONS = st.one_of(
    st.builds(Action, st.just("add"), DEPARTMENTS),
    st.builds(Action, st.just("drop"), DEPARTMENTS),
    st.builds(Action, st.just("move"), DEPARTMENTS, st.integers(0, HEAD)),
    st.builds(Action, st.just("move"), DEPARTMENTS, st.integers(0, HEAD)),
    st.builds(Action, st.sampled_from(["upgrade", "downgrade"])),
)
#: When something is killed, seconds after it has reached the server.
MOMENTS = st.integers(0, 150).map(lambda milliseconds: milliseconds / 1000)

Fork = Callable[..., int]


@pytest.fixture
def grove(server: Server, control_plane: NoopExecutor) -> Iterator[Database]:
    with fresh_database(server, control_plane) as database:
        yield database


class Sequences(RuleBasedStateMachine):
    """Things that are done to a fleet, one after another; after each one all laws are checked."""

    def __init__(self, database: Database, fork: Fork, broken: list[str]) -> None:
        super().__init__()
        self.done: list[str] = []
        self.broken = broken
        self.database = database
        self.fork = fork
        self.watcher = database.connect()
        self.fleet = Fleet(database)

    @initialize(some=st.sets(DEPARTMENTS, min_size=2))
    def begin(self, some: set[str]) -> None:
        with self._step("begin", sorted(some)):
            self.watcher.execute("TRUNCATE federation.schema_migrations")
            for department_id in sorted(some):
                self.database.add(department_id)
            self._laws(self.fleet.places | dict.fromkeys(some, HEAD))

    @rule(action=ACTIONS)
    def does(self, action: Action) -> None:
        with self._step("does", action):
            place = self.fleet.places.get(action.department_id)
            if refusal := action.refusal(place):
                with pytest.raises(refusal):
                    action.run(self.database, place)
            else:
                action.run(self.database, place)
            self._laws(self._after(action))

    @rule(department_id=DEPARTMENTS)
    def writes(self, department_id: str) -> None:
        with self._step("writes", department_id):
            if self.fleet.places[department_id]:
                self.fleet.write(department_id)

    @rule(action=ACTIONS, moment=MOMENTS)
    def is_killed(self, action: Action, moment: float) -> None:
        """The process dies, as by kill -9: the server hears nothing."""
        with self._step("is killed", moment, action):
            process = self.fork(*action.words(self.fleet.places.get(action.department_id)))
            eventually(lambda: bool(sessions(self.watcher)) or not _runs(process))
            time.sleep(moment)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            assert eventually(lambda: not _runs(process))
            self._settle(action)

    @rule(action=ACTIONS, moment=MOMENTS)
    def is_ended(self, action: Action, moment: float) -> None:
        """An administrator ends its sessions."""
        with self._step("is ended", moment, action):
            self.fleet.ended += len(IDS)
            with ThreadPoolExecutor(1) as pool:
                attempt = pool.submit(self._try, action)
                eventually(lambda: attempt.done() or bool(sessions(self.watcher)))
                time.sleep(moment)
                for process in sessions(self.watcher):
                    self.watcher.execute("SELECT pg_terminate_backend(%s)", (process,))
                attempt.result(60)
            self._settle(action)

    @rule(action=ACTIONS, other=ACTIONS)
    def are_done_at_once(self, action: Action, other: Action) -> None:
        """Two operators: each of them is done whole, or says why not."""
        with self._step("are done at once", action, other):
            self.fleet.ended += 2 * len(IDS)  # the one that is too late may put its failure on record
            with ThreadPoolExecutor(2) as pool:
                for attempt in [pool.submit(self._try, one) for one in (action, other)]:
                    attempt.result(60)
            self._laws(self.fleet.seen(self.watcher))

    def teardown(self) -> None:
        try:
            with self._step("teardown"):
                self._end()
        finally:
            self.watcher.close()

    def _end(self) -> None:
        found = validate(self.database.conninfo, self.database.compiler, [])
        assert told(found) == []
        for department_id, place in self.fleet.places.items():
            if place is not None:
                Action("drop", department_id).run(self.database, place)
        self._laws(dict.fromkeys(IDS))

    @contextmanager
    def _step(self, *said: object) -> Iterator[None]:
        """Keep what is done, and with it how a law was broken."""
        self.done.append(" ".join(map(str, said)))
        try:
            yield
        except Exception:
            self.broken.append("\n".join((*self.done, traceback.format_exc())))
            raise

    def _try(self, action: Action) -> None:
        with suppress(FedschemaError):
            action.run(self.database, self.fleet.places.get(action.department_id))

    def _after(self, action: Action) -> dict[str, Place]:
        return {one: action.after(one, place) for one, place in self.fleet.places.items()}

    def _settle(self, action: Action) -> None:
        """Whatever was interrupted is done in each department, or was not begun there."""
        assert eventually(lambda: not sessions(self.watcher))
        seen, after = self.fleet.seen(self.watcher), self._after(action)
        for department_id, place in seen.items():
            assert place in {self.fleet.places[department_id], after[department_id]}
        self._laws(seen)

    def _laws(self, places: dict[str, Place]) -> None:
        self.fleet.believe(places)
        self.fleet.check(self.watcher)


@contextmanager
def _told(broken: Sequence[str]) -> Iterator[None]:
    """Tell how a law was broken: what is drawn is tried again, and may come to something else then."""
    try:
        yield
    except Exception:
        if broken:
            pytest.fail(broken[0], pytrace=False)
        raise


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_laws_hold_whatever_is_done(grove: Database) -> None:
    broken: list[str] = []
    with forking(grove) as fork:

        class Here(Sequences):
            def __init__(self) -> None:
                super().__init__(grove, fork, broken)

        with _told(broken):
            run_state_machine_as_test(
                Here,
                settings=settings(
                    derandomize=not DRAWN,
                    max_examples=DRAWN or 4,
                    stateful_step_count=40 if DRAWN else 16,
                    database=None,
                    deadline=None,
                    phases=[Phase.generate],  # how far something comes is chance: a smaller sequence proves nothing
                    suppress_health_check=list(HealthCheck),
                    report_multiple_bugs=False,
                ),
            )
