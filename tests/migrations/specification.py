"""The tables as the interface has them: shared/spec/tables.md, transcribed, and read into data.

The notation is that of the page: ``name type`` · ``!`` NOT NULL · ``=x`` default · ``U`` unique · ``CHECK a|b`` the
values that are allowed · ``vc(n)`` varchar(n), ``ts`` timestamptz, ``int``, ``bool``. A ``created_at`` by itself, or an
``updated_at``, is ``ts ! =now()``. Indexes are ``name(columns)``, or ``columns`` where the name follows the rule.
Nothing here is read from the project: this is what the project is compared with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TYPES = {
    "vc": "character varying",
    "ts": "timestamp with time zone",
    "int": "integer",
    "bool": "boolean",
}
_COLUMN = re.compile(
    r"""
    "?(?P<name>\w+)"?
    (?:\ (?P<type>[a-z]+(?:\([\d,]+\))?))?
    (?P<required>\ ?!)?
    (?:\ =(?P<default>'[^']*'|\S+))?
    (?P<unique>\ U)?
    (?:\ CHECK\ (?P<check>\S+))?
    """,
    re.VERBOSE,
)
_INDEX = re.compile(r"(?:(?P<name>idx_\w+)\()?(?P<columns>[^()]+)\)?")


@dataclass(frozen=True)
class Column:
    """One column: its type as PostgreSQL says it, its default as it is written there but for a cast."""

    name: str
    type: str
    required: bool
    default: str | None
    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table of the interface.

    Attributes:
        name: its name.
        columns: in the order of the page, without the key and the department.
        key: ``uuid`` or ``big``.
        unique: the column lists that are unique.
        indexes: their columns by their names.
        updated: its updated_at is kept by a trigger.
    """

    name: str
    columns: tuple[Column, ...]
    key: str
    unique: tuple[tuple[str, ...], ...]
    indexes: dict[str, str]
    updated: bool


def _type(short: str) -> str:
    word, parenthesis, rest = short.partition("(")
    return _TYPES.get(word, word) + parenthesis + rest


def _columns(text: str) -> tuple[list[Column], list[tuple[str, ...]]]:
    """Read the columns of a table, and those that are unique by themselves."""
    columns: list[Column] = []
    unique: list[tuple[str, ...]] = []
    for piece in text.split(" · "):
        found = _COLUMN.fullmatch(piece.strip())
        assert found, piece
        name, default, allowed = found["name"], found["default"], found["check"]
        if found["type"] is None and name in {"created_at", "updated_at"}:
            columns.append(Column(name, _type("ts"), required=True, default="now()", allowed=()))
            continue
        assert found["type"], piece
        values = tuple(allowed.split("|")) if allowed and ".." not in allowed else (allowed,) if allowed else ()
        columns.append(Column(name, _type(found["type"]), bool(found["required"]), default, values))
        if found["unique"]:
            unique.append((name,))
    return columns, unique


def _table(name: str, key: str, text: str, *, unique: str = "", indexes: str = "") -> Table:
    columns, alone = _columns(text)
    listed = [tuple(group.split(", ")) for group in unique.split("; ") if group]
    named = {}
    for piece in filter(None, (piece.strip() for piece in indexes.split(";"))):
        found = _INDEX.fullmatch(piece)
        assert found, piece
        rule = re.sub(r" (?:ASC|DESC)|\"", "", found["columns"]).replace(", ", "_")
        named[found["name"] or f"idx_{name}_{rule}"] = found["columns"]
    updated = any(column.name == "updated_at" for column in columns)
    return Table(name, tuple(columns), key, tuple(alone + listed), named, updated)


CORE = (
    _table(
        "tool_calls",
        "uuid",
        "tool_call_id vc(100)! U · session_id vc(100)! · intent_id vc(100) · function_name vc(100)! · "
        "parameters jsonb! ='{}' · status vc(20)! ='EXECUTING' CHECK EXECUTING|COMPLETED|FAILED|CANCELLED · "
        "result jsonb · error_message text · voice_response text · callback_url text · execution_time_ms int · "
        "created_at · completed_at ts",
        indexes="idx_tool_calls_session(session_id, created_at DESC); idx_tool_calls_status(status, created_at DESC); "
        "idx_tool_calls_created(created_at DESC); idx_tool_calls_function(function_name)",
    ),
    _table(
        "session_context",
        "uuid",
        "session_id vc(100)! · context_type vc(50)! · context_key vc(255)! · context_value jsonb! · "
        "ttl_seconds int! =3600 · created_at · expires_at ts!",
        indexes="idx_session_context_session(session_id); idx_session_context_type(context_type); "
        "idx_session_context_expires(expires_at)",
    ),
    _table(
        "agent_context",
        "uuid",
        "session_id vc(100)! · context_category vc(50)! · context_data jsonb! · importance_score int =5 CHECK 1..10 · "
        "created_at · updated_at",
        indexes="session_id; context_category; importance_score DESC",
    ),
    _table(
        "conversation_history",
        "big",
        "session_id vc(100)! · turn_index int! · speaker vc(20)! CHECK user|agent|system · message_text text! · "
        'audio_duration_ms int · "timestamp" ts! =now()',
        indexes='idx_conversation_session(session_id, turn_index); idx_conversation_timestamp("timestamp" DESC)',
    ),
)
DOCUMENTS = (
    _table(
        "drive_document_repository",
        "big",
        "drive_file_id vc(255)! U · drive_folder_id vc(255)! · file_name vc(255) · mime_type vc(100) · "
        "file_size_bytes bigint · web_view_link text · drive_modified_time ts · extracted_text text · "
        "text_length int · extraction_method vc(50) · extraction_status vc(50) · ai_analysis jsonb · "
        "access_count int! =0 · first_accessed_at ts! =now() · last_accessed_at ts! =now() · created_at · updated_at",
        indexes="idx_drive_file_id(drive_file_id); idx_drive_folder_id(drive_folder_id); extraction_status; "
        "created_at DESC",
    ),
    _table(
        "drive_access_log",
        "big",
        "drive_folder_id vc(255)! · operation vc(50)! · files_found int · files_processed int · files_skipped int =0 · "
        "success bool! =true · error_message text · created_at",
        indexes="drive_folder_id; operation; created_at DESC",
    ),
    _table(
        "vector_store_embeddings",
        "uuid",
        "document_id vc(255)! · document_type vc(50)! · chunk_index int! =0 · chunk_text text! · "
        "embedding_model vc(100)! · embedding_vector jsonb! · metadata jsonb · created_at",
        unique="document_id, chunk_index",
        indexes="document_type",
    ),
    _table(
        "file_attachments",
        "uuid",
        "session_id vc(100)! · tool_call_id vc(100) · file_name vc(255)! · file_path text! · mime_type vc(100) · "
        "file_size_bytes bigint · storage_provider vc(50) · storage_id vc(255) · created_at",
        indexes="session_id; tool_call_id",
    ),
)
COMMUNICATION = (
    _table(
        "email_logs",
        "uuid",
        "session_id vc(100)! · tool_call_id vc(100) · recipient_email vc(255)! · subject text! · body text · "
        "attachments jsonb · status vc(50)! ='SENDING' CHECK SENDING|SENT|FAILED|BOUNCED · message_id vc(255) · "
        "error_message text · sent_at ts · created_at",
        indexes="session_id; recipient_email; status; created_at DESC",
    ),
    _table(
        "calendar_events",
        "uuid",
        "calendar_event_id vc(255)! U · calendar_id vc(255)! · event_title vc(500) · event_description text · "
        "start_time ts! · end_time ts! · attendees jsonb · location vc(500) · status vc(50) · created_at · updated_at",
        indexes="start_time; status",
    ),
    _table(
        "contacts",
        "uuid",
        "contact_id vc(255)! U · full_name vc(255) · email_addresses jsonb · phone_numbers jsonb · "
        "organization vc(255) · job_title vc(255) · notes text · created_at · updated_at",
        indexes="full_name; organization",
    ),
    _table(
        "notifications",
        "uuid",
        "user_id vc(100)! · notification_type vc(50)! · title vc(255)! · message text · action_url text · read_at ts · "
        "created_at",
        indexes="user_id; notification_type; read_at; created_at DESC",
    ),
)
ANALYTICS = (
    _table(
        "user_session_analytics",
        "uuid",
        "session_id vc(100)! · user_id vc(100) · session_start ts! · session_end ts · duration_seconds int · "
        "total_turns int =0 · tool_calls_count int =0 · errors_count int =0 · satisfaction_score int · created_at",
        indexes="session_id; session_start DESC",
    ),
    _table(
        "training_metrics",
        "uuid",
        "session_id vc(100)! · metric_type vc(50)! · metric_value numeric(10,2) · metadata jsonb · created_at",
        indexes="session_id; metric_type; created_at DESC",
    ),
    _table(
        "llm_usage_logs",
        "uuid",
        "session_id vc(100)! · provider vc(50)! · model vc(100)! · prompt_tokens int · completion_tokens int · "
        "total_tokens int · request_duration_ms int · cost_usd numeric(10,6) · created_at",
        indexes="session_id; provider; created_at DESC",
    ),
    _table(
        "stt_usage_logs",
        "uuid",
        "session_id vc(100)! · provider vc(50)! ='deepgram' · model vc(100)! · audio_duration_seconds numeric(10,2) · "
        "transcription_duration_ms int · cost_usd numeric(10,6) · created_at",
        indexes="session_id; created_at DESC",
    ),
    _table(
        "tts_usage_logs",
        "uuid",
        "session_id vc(100)! · provider vc(50)! ='cartesia' · voice vc(100)! · text_length int · "
        "audio_duration_seconds numeric(10,2) · synthesis_duration_ms int · cost_usd numeric(10,6) · created_at",
        indexes="session_id; created_at DESC",
    ),
)
WORKFLOWS = (
    _table(
        "workflow_executions",
        "uuid",
        "session_id vc(100)! · tool_call_id vc(100) · workflow_id vc(100)! · workflow_name vc(255) · "
        "execution_id vc(255) · status vc(50)! · input_data jsonb · output_data jsonb · error_message text · "
        "execution_time_ms int · created_at",
        indexes="session_id; workflow_id; status",
    ),
    _table(
        "scheduled_tasks",
        "uuid",
        "task_name vc(255)! · task_type vc(50)! · schedule_expression vc(100) · next_run_at ts · last_run_at ts · "
        "status vc(20) ='ACTIVE' CHECK ACTIVE|PAUSED|COMPLETED|CANCELLED · task_data jsonb · created_at",
        indexes="next_run_at; status",
    ),
    _table(
        "error_logs",
        "uuid",
        "session_id vc(100) · tool_call_id vc(100) · error_type vc(100)! · error_message text! · stack_trace text · "
        "context jsonb · severity vc(20) ='ERROR' CHECK DEBUG|INFO|WARNING|ERROR|CRITICAL · created_at",
        indexes="session_id; error_type; severity; created_at DESC",
    ),
)
CONFIGURATION = (
    _table(
        "user_preferences",
        "uuid",
        "user_id vc(100)! · preference_key vc(100)! · preference_value jsonb! · created_at · updated_at",
        unique="user_id, preference_key",
    ),
    _table(
        "api_keys",
        "uuid",
        "service_name vc(100)! · api_key_name vc(255)! · api_key_encrypted bytea! · scopes jsonb · expires_at ts · "
        "created_at · rotated_at ts",
        unique="service_name, api_key_name",
        indexes="expires_at",
    ),
    _table(
        "feature_flags",
        "uuid",
        "feature_name vc(100)! · enabled bool =false · config jsonb · created_at · updated_at",
        unique="department, feature_name",
        indexes="enabled",
    ),
    _table(
        "audit_trail",
        "uuid",
        "event_type vc(50)! · user_id vc(100) · session_id vc(100) · resource_type vc(50) · resource_id vc(255) · "
        "action vc(50)! · details jsonb · ip_address inet · user_agent text · created_at",
        indexes="event_type; created_at DESC; session_id",
    ),
)

#: The 24 tables of every department.
TABLES = {table.name: table for table in (*CORE, *DOCUMENTS, *COMMUNICATION, *ANALYTICS, *WORKFLOWS, *CONFIGURATION)}

#: The control plane's tables. Where the page leaves a type open, none is compared: ``any``.
CONTROL_PLANE = {
    table.name: table
    for table in (
        _table(
            "departments",
            "uuid",
            "department_id vc(100)! U · department_name vc(255)! · status vc(20)! ='PROVISIONING' "
            "CHECK PROVISIONING|ACTIVE|SUSPENDED|FAILED|DEPROVISIONING|DEPROVISIONED · tenant_schema vc(63)! U · "
            "admin_email vc(255) · config jsonb · enabled_tools jsonb · railway_project_id any · "
            "railway_deployment_url any · n8n_workflow_ids any · created_at · updated_at · deprovisioned_at ts",
        ),
        _table(
            "cross_dept_permissions",
            "uuid",
            "source_department_id vc(100)! · target_department_id vc(100)! · "
            "permission_type vc(50)! CHECK read|search|aggregate · resource_type vc(50)! · enabled bool! =true · "
            "granted_by vc(255)! · granted_at ts! =now() · expires_at ts",
            unique="source_department_id, target_department_id, permission_type, resource_type",
        ),
        _table(
            "cross_dept_audit",
            "uuid",
            "source_department_id any · target_department_id any · query_type vc(50)! · query_params jsonb · "
            "requester_session_id vc(100) · requester_ip inet · results_returned int · success bool! · "
            "error_message text · latency_ms int · created_at",
        ),
        _table(
            "security_audit",
            "uuid",
            "event_type vc(50)! · source_department_id any · target_department_id any · user_role any · "
            "details jsonb · created_at",
        ),
        _table(
            "oauth_credentials",
            "uuid",
            "department_id any! · service_name vc(50)! · oauth_client_id vc(255)! · "
            "oauth_client_secret_encrypted bytea! · oauth_app_name any · scopes jsonb · "
            "refresh_token_encrypted bytea · token_expires_at any · last_refreshed_at any · created_at · "
            "rotated_at any",
            unique="department_id, service_name",
        ),
        _table(
            "schema_migrations",
            "any",
            "department_id vc(100)! · migration_name vc(255)! · direction any! CHECK upgrade|downgrade|stamp · "
            "applied_at ts! · duration_seconds numeric(10,3) · applied_by any · success any · error_message any · "
            "checksum any",
        ),
    )
}
