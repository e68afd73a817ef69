"""What is shown follows what is done: to departments, to the audit, to tables."""

from __future__ import annotations

from fedschema.department import Department
from fedschema.metrics.collection import collect
from fedschema.report import facts, page
from tests.observing.conftest import Shown
from tests.observing.counting import questions
from tests.observing.reading import labels, measured, read


def test_metrics_say_what_there_is(changing: Shown) -> None:
    changing.root.execute("UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'legal'")
    assert changing.command("downgrade", "sales", "--to", "-1").status == 0
    done = changing.command("metrics")
    found = read(done.stdout)

    assert (done.status, done.stderr) == (0, "")
    places = found["fedschema_departments"]
    assert places[labels(status="ACTIVE", revision="tenant_0007_retention", branch_revision="")] == 1
    assert places[labels(status="ACTIVE", revision="tenant_0006_configuration", branch_revision="")] == 1
    assert places[labels(status="SUSPENDED", revision="tenant_0007_retention", branch_revision="")] == 1
    assert found["fedschema_department_at_head"] == {
        labels(department="hr"): 1,
        labels(department="legal"): 1,
        labels(department="sales"): 0,
    }
    steps = found["fedschema_migration_steps_total"]
    assert steps[labels(department="hr", direction="upgrade", result="failed")] == 1
    assert steps[labels(department="legal", direction="upgrade", result="failed")] == 0
    assert steps[labels(department="sales", direction="downgrade", result="succeeded")] == 1
    assert found["fedschema_denied_attempts_total"] == {
        labels(department="hr"): 1,
        labels(department="legal"): 0,
        labels(department="sales"): 0,
        labels(department="unknown"): 2,
    }
    assert found["fedschema_grants"][labels(type="read", state="in_force")] == 1
    assert set(found["fedschema_department_size_bytes"]) == {labels(department=d) for d in ("hr", "legal", "sales")}
    assert "fedschema_department_differences" not in found


def test_damaged_department_is_said_and_keeps_nothing_back(changing: Shown) -> None:
    changing.root.execute("DROP TABLE hr_tenant.alembic_version")
    found = measured(changing.database)

    assert found["fedschema_department_damaged"][labels(department="hr")] == 1
    assert found["fedschema_department_damaged"][labels(department="sales")] == 0


def test_denials_never_fall_when_old_rows_go(changing: Shown) -> None:
    changing.root.execute(
        """
        INSERT INTO federation.security_audit (event_type, source_department_id, created_at)
        SELECT kind, source, now() - interval '3 years'
        FROM (VALUES ('CROSS_DEPT_ACCESS_DENIED', 'hr'), ('CROSS_DEPT_ACCESS_DENIED', 'hr'),
                     ('CROSS_DEPT_ACCESS_DENIED', 'nobody of ours'), ('GATEWAY_ENTITLED', 'hr')) AS old (kind, source)
        """
    )
    before = measured(changing.database)["fedschema_denied_attempts_total"]
    gone = changing.root.execute("SELECT federation.cleanup_old_security_audit()").fetchone()

    assert gone == (4,)
    assert before[labels(department="hr")] == 3
    assert measured(changing.database)["fedschema_denied_attempts_total"] == before
    changing.root.execute("SELECT federation.cleanup_old_security_audit()")
    assert measured(changing.database)["fedschema_denied_attempts_total"] == before


def test_drift_is_measured_when_asked_for(changing: Shown) -> None:
    changing.root.execute("ALTER TABLE hr_tenant.contacts ADD COLUMN odd integer")
    changing.root.execute("DROP TABLE legal_tenant.alembic_version")
    found = measured(changing.database, with_drift=True)

    assert found["fedschema_department_differences"][labels(department="hr")] >= 1
    assert found["fedschema_department_differences"][labels(department="sales")] == 0
    assert labels(department="legal") not in found["fedschema_department_differences"]
    assert found["fedschema_department_comparable"][labels(department="legal")] == 0


def test_tables_of_one_department_are_drawn_with_what_leads_where(changing: Shown) -> None:
    changing.root.execute(
        """
        SET ROLE federation_owner;
        CREATE TABLE legal_tenant.case_files (
            id uuid PRIMARY KEY,
            attachment_id uuid CONSTRAINT case_attachment REFERENCES legal_tenant.file_attachments (id),
            owner_id varchar(100) CONSTRAINT case_owner REFERENCES federation.departments (department_id)
        );
        """
    )
    found = facts.gather(changing.database.conninfo, changing.database.compiler, Department("legal"))
    assert found.relations is not None
    links = {(link.source, link.target, link.held) for link in found.relations.links}

    assert (("case_files", "attachment_id"), ("file_attachments", "id"), True) in links
    assert (("email_logs", "tool_call_id"), ("tool_calls", "tool_call_id"), False) in links
    assert [key.target_schema for key in found.relations.outside] == ["federation"]
    assert "case_files.owner_id → federation.departments.department_id" in page.render(found, "here")


def test_damaged_federation_has_a_page(changing: Shown) -> None:
    changing.root.execute("DROP TABLE hr_tenant.alembic_version, sales_tenant.alembic_version")
    damaged = page.render(facts.gather(changing.database.conninfo, changing.database.compiler), "here")
    assert "Of 2 departments nobody can tell the revision" in damaged


def test_number_of_questions_does_not_grow(changing: Shown) -> None:
    database = changing.database

    def asked() -> tuple[int, int]:
        return (
            questions(lambda: collect(database.conninfo, database.compiler)),
            questions(lambda: facts.gather(database.conninfo, database.compiler)),
        )

    three = asked()
    database.add("finance")
    database.add("it")

    assert asked() == three
    assert max(three) < 25
