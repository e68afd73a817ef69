"""What `fedschema revision check` finds out: each kind of downgrade, and what it says of it."""

from __future__ import annotations

import pytest

from fedschema.downgrades import Verdict
from fedschema.errors import UnknownRevision
from fedschema.rollbacks import Proof, subjects
from tests.migrations.conftest import CopiedProject
from tests.rollbacks.conftest import BRANCH, LAST, ONLINE, ONLINE_REFUSES, REVISIONS

EXACT = ["t01_index", "t09_concurrent", "t10_expand", "t12_contract", "t15_keeps_rows_out"]
LOSSY = {
    LAST: ["table conversation_history_archive"],
    "t02_column": ["column contacts.nickname"],
    "t07_overwrites": ["what was in contacts.full_name", "what was in contacts.updated_at"],
    "t08_deletes": ["rows of contacts"],
    "t11_fill": ["that calendar_events.place was empty", "what was in calendar_events.updated_at"],
    "t17_drops": ["what was in contacts.t14"],
    ONLINE: ["column contacts.t20"],
    BRANCH[0]: ["what was in contacts.notes", "what was in contacts.updated_at"],
    BRANCH[1]: ["column contacts.matter"],
}
#: Impossible: why, and whether the revision or its rows say so.
IMPOSSIBLE = {
    "t03_refuses": ("the nicknames are gone", True),
    "t04_silent": ("its downgrade raises, and does not say why", False),
    "t05_slip": ("revision t05_slip cannot be compiled: NameError: name 'unheard_of' is not defined", False),
    "t13_widens": ("with rows of its own: value too long for type character varying(500)", True),
    "t14_refused_by_server": ('column "unheard_of" of relation "contacts" does not exist', False),
    "t18_says_no_by_sql": ("not without a backup", True),
    ONLINE_REFUSES: ("asked and gone", True),
}
BROKEN = {
    "t06_forgets": "index idx_t06 on contacts is left over",
    "t16_forgets_a_sequence": "sequence t16 is left over",
    "t19_changes": "column contacts.t19 is left over",
}


def test_each_downgrade_is_what_it_is(proofs: dict[str, Proof]) -> None:
    """All in one test, for they are tried in one go."""
    assert list(proofs) == [LAST, *REVISIONS, ONLINE, ONLINE_REFUSES, *BRANCH]
    assert {name for name, proof in proofs.items() if proof.lineage == "legal"} == set(BRANCH)
    verdicts = {
        **dict.fromkeys(EXACT, Verdict.EXACT),
        **dict.fromkeys(LOSSY, Verdict.LOSSY),
        **dict.fromkeys(IMPOSSIBLE, Verdict.IMPOSSIBLE),
        **dict.fromkeys(BROKEN, Verdict.BROKEN),
    }
    assert {name: proof.way.verdict for name, proof in proofs.items()} == verdicts
    lost = {name: sorted(map(str, proof.way.losses)) for name, proof in proofs.items() if proof.way.losses}
    assert lost == {name: sorted(losses) for name, losses in LOSSY.items()}
    assert all(proof.rows[loss] > 0 for proof in proofs.values() for loss in proof.way.losses)
    assert {name: (proofs[name].way.reason, proofs[name].ok) for name in IMPOSSIBLE} == IMPOSSIBLE
    assert {name: proofs[name].differences for name in BROKEN} == {name: (what,) for name, what in BROKEN.items()}
    assert {name for name, proof in proofs.items() if proof.ok} == {
        *EXACT,
        *LOSSY,
        *(name for name, (_, said) in IMPOSSIBLE.items() if said),
    }
    (note,) = (note for proof in proofs.values() for note in proof.notes)
    assert note.startswith("not tried with rows of before in contacts: check constraint")


def test_only_named_revisions_are_meant_and_those_after_one_only_of_its_lineage(nasty_project: CopiedProject) -> None:
    compiler = nasty_project.compiler()

    assert [one.revision for one in subjects(compiler, ["legal_2", "t01"])] == ["t01_index", "legal_2_column"]
    assert [one.revision for one in subjects(compiler, since=ONLINE)] == [ONLINE_REFUSES]
    assert [one.revision for one in subjects(compiler, since="legal_1")] == ["legal_2_column"]
    for name in ("federation_0001_control_plane", "nosuch"):
        with pytest.raises(UnknownRevision):
            subjects(compiler, [name])
