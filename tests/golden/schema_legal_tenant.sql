BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL ROLE federation_owner; SET LOCAL row_security = on; SET LOCAL search_path = pg_catalog, pg_temp;

-- The shell of a department: its registry row, its role, its schema and its version table. A revision never makes these.
CALL federation.register_department('legal', 'Legal Department', NULL);

CREATE ROLE legal_role LOGIN CONNECTION LIMIT 100;
ALTER ROLE legal_role SET search_path = legal_tenant;

CREATE SCHEMA legal_tenant;
GRANT USAGE ON SCHEMA legal_tenant
    TO legal_role, federation_admin_role, federation_reader_role, cross_dept_query_role;

CREATE TABLE legal_tenant.alembic_version (
    version_num varchar(128) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- upgrade tenant_0001_core
-- The trigger function that keeps updated_at in the tables that have it.
CREATE FUNCTION legal_tenant.set_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$$;

-- Each function call of the voice agent, on its way through the gated states.
CREATE TABLE legal_tenant.tool_calls (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    tool_call_id varchar(100) NOT NULL,
    session_id varchar(100) NOT NULL,
    intent_id varchar(100),
    function_name varchar(100) NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}',
    status varchar(20) NOT NULL DEFAULT 'EXECUTING',
    result jsonb,
    error_message text,
    voice_response text,
    callback_url text,
    execution_time_ms integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    CONSTRAINT tool_calls_pkey PRIMARY KEY (id),
    CONSTRAINT tool_calls_tool_call_id_key UNIQUE (tool_call_id),
    CONSTRAINT tool_calls_department_check CHECK (department = 'legal'),
    CONSTRAINT tool_calls_status_check CHECK (status::text IN ('EXECUTING', 'COMPLETED', 'FAILED', 'CANCELLED'))
);

CREATE INDEX idx_tool_calls_session ON legal_tenant.tool_calls (session_id, created_at DESC);
CREATE INDEX idx_tool_calls_status ON legal_tenant.tool_calls (status, created_at DESC);
CREATE INDEX idx_tool_calls_created ON legal_tenant.tool_calls (created_at DESC);
CREATE INDEX idx_tool_calls_function ON legal_tenant.tool_calls (function_name);

ALTER TABLE legal_tenant.tool_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.tool_calls FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.tool_calls
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.tool_calls
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.tool_calls
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'tool_calls')));

CREATE POLICY reader ON legal_tenant.tool_calls
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.tool_calls
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.tool_calls TO cross_dept_query_role, federation_reader_role;

-- The long-term memory of the voice agent.
CREATE TABLE legal_tenant.agent_context (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    context_category varchar(50) NOT NULL,
    context_data jsonb NOT NULL,
    importance_score integer DEFAULT 5,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT agent_context_pkey PRIMARY KEY (id),
    CONSTRAINT agent_context_department_check CHECK (department = 'legal'),
    CONSTRAINT agent_context_importance_score_check CHECK (importance_score BETWEEN 1 AND 10)
);

CREATE INDEX idx_agent_context_session_id ON legal_tenant.agent_context (session_id);
CREATE INDEX idx_agent_context_context_category ON legal_tenant.agent_context (context_category);
CREATE INDEX idx_agent_context_importance_score
    ON legal_tenant.agent_context (importance_score DESC);

CREATE TRIGGER set_updated_at
    BEFORE UPDATE ON legal_tenant.agent_context
    FOR EACH ROW EXECUTE FUNCTION legal_tenant.set_updated_at();

ALTER TABLE legal_tenant.agent_context ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.agent_context FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.agent_context
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.agent_context
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.agent_context
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'agent_context')));

CREATE POLICY reader ON legal_tenant.agent_context
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.agent_context
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.agent_context TO cross_dept_query_role, federation_reader_role;

-- Transcripts, turn by turn, until archive_old_conversation_history takes them out after 2 years.
CREATE TABLE legal_tenant.conversation_history (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    turn_index integer NOT NULL,
    speaker varchar(20) NOT NULL,
    message_text text NOT NULL,
    audio_duration_ms integer,
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT conversation_history_pkey PRIMARY KEY (id),
    CONSTRAINT conversation_history_department_check CHECK (department = 'legal'),
    CONSTRAINT conversation_history_speaker_check CHECK (speaker::text IN ('user', 'agent', 'system'))
);

CREATE INDEX idx_conversation_session ON legal_tenant.conversation_history (session_id, turn_index);
CREATE INDEX idx_conversation_timestamp ON legal_tenant.conversation_history ("timestamp" DESC);

ALTER TABLE legal_tenant.conversation_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.conversation_history FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.conversation_history
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.conversation_history
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.conversation_history
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'conversation_history')));

CREATE POLICY reader ON legal_tenant.conversation_history
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.conversation_history
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.conversation_history TO cross_dept_query_role, federation_reader_role;

GRANT USAGE ON SEQUENCE legal_tenant.conversation_history_id_seq
    TO legal_role, federation_admin_role;

-- Values that the tools of one session share until they expire.
CREATE TABLE legal_tenant.session_context (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    context_type varchar(50) NOT NULL,
    context_key varchar(255) NOT NULL,
    context_value jsonb NOT NULL,
    ttl_seconds integer NOT NULL DEFAULT 3600,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL GENERATED ALWAYS AS (
        ((created_at AT TIME ZONE 'UTC') + make_interval(secs => ttl_seconds)) AT TIME ZONE 'UTC'
    ) STORED,
    CONSTRAINT session_context_pkey PRIMARY KEY (id),
    CONSTRAINT session_context_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_session_context_session ON legal_tenant.session_context (session_id);
CREATE INDEX idx_session_context_type ON legal_tenant.session_context (context_type);
CREATE INDEX idx_session_context_expires ON legal_tenant.session_context (expires_at);

ALTER TABLE legal_tenant.session_context ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.session_context FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.session_context
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.session_context
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.session_context
    TO legal_role, federation_admin_role;

INSERT INTO legal_tenant.alembic_version (version_num) VALUES ('tenant_0001_core');

CALL federation.record_migration('legal', 'tenant_0001_core', 'upgrade', 'sha256:536091acf28f5165f93a6ff1473ffaecc27a909667fdf2ac8cc9529183b470b8');

-- upgrade tenant_0002_documents
-- The trigger function that makes a document findable by its name and by the first 100,000 characters of its text. The name
-- counts twice, once in parts: PostgreSQL takes 2026.xlsx, or a_b, for one word.
-- PostgreSQL's parser needs quadratic time for long unbroken ASCII and for unclosed comments, and a word that grows while
-- PostgreSQL 15 lowers it makes a broken tsvector: so it gets neither, and text that is lower already.
CREATE FUNCTION legal_tenant.set_search_vector() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    beginning text := lower(
        coalesce(NEW.file_name, '') || ' ' || translate(coalesce(NEW.file_name, ''), '._-/', '    ') || ' '
        || left(coalesce(NEW.extracted_text, ''), 100000)
    );
BEGIN
    NEW.search_vector := to_tsvector(
        'simple'::regconfig, regexp_replace(replace(beginning, '<!--', ' '), '[!-~]{255}', E'\\& ', 'g')
    );
    RETURN NEW;
END;
$$;

-- Google Drive files with their text, its analysis and a search vector over its beginning.
CREATE TABLE legal_tenant.drive_document_repository (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    department varchar(100) NOT NULL DEFAULT 'legal',
    drive_file_id varchar(255) NOT NULL,
    drive_folder_id varchar(255) NOT NULL,
    file_name varchar(255),
    mime_type varchar(100),
    file_size_bytes bigint,
    web_view_link text,
    drive_modified_time timestamptz,
    extracted_text text,
    text_length integer,
    extraction_method varchar(50),
    extraction_status varchar(50),
    ai_analysis jsonb,
    access_count integer NOT NULL DEFAULT 0,
    first_accessed_at timestamptz NOT NULL DEFAULT now(),
    last_accessed_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search_vector tsvector,
    CONSTRAINT drive_document_repository_pkey PRIMARY KEY (id),
    CONSTRAINT idx_drive_file_id UNIQUE (drive_file_id),
    CONSTRAINT drive_document_repository_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_drive_folder_id ON legal_tenant.drive_document_repository (drive_folder_id);
CREATE INDEX idx_drive_document_repository_extraction_status
    ON legal_tenant.drive_document_repository (extraction_status);
CREATE INDEX idx_drive_document_repository_created_at
    ON legal_tenant.drive_document_repository (created_at DESC);
CREATE INDEX idx_drive_document_repository_search_vector
    ON legal_tenant.drive_document_repository USING gin (search_vector);

CREATE TRIGGER set_updated_at
    BEFORE UPDATE ON legal_tenant.drive_document_repository
    FOR EACH ROW EXECUTE FUNCTION legal_tenant.set_updated_at();

-- Kept by a trigger, since a generated column is computed anew whenever a row is counted as read, megabytes of text or not.
CREATE TRIGGER set_search_vector
    BEFORE INSERT OR UPDATE OF file_name, extracted_text ON legal_tenant.drive_document_repository
    FOR EACH ROW EXECUTE FUNCTION legal_tenant.set_search_vector();

ALTER TABLE legal_tenant.drive_document_repository ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.drive_document_repository FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.drive_document_repository
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.drive_document_repository
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.drive_document_repository
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'drive_documents')));

CREATE POLICY reader ON legal_tenant.drive_document_repository
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.drive_document_repository
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.drive_document_repository TO cross_dept_query_role, federation_reader_role;

GRANT USAGE ON SEQUENCE legal_tenant.drive_document_repository_id_seq
    TO legal_role, federation_admin_role;

-- Each synchronisation of, or access to, a Google Drive folder.
CREATE TABLE legal_tenant.drive_access_log (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    department varchar(100) NOT NULL DEFAULT 'legal',
    drive_folder_id varchar(255) NOT NULL,
    operation varchar(50) NOT NULL,
    files_found integer,
    files_processed integer,
    files_skipped integer DEFAULT 0,
    success boolean NOT NULL DEFAULT true,
    error_message text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT drive_access_log_pkey PRIMARY KEY (id),
    CONSTRAINT drive_access_log_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_drive_access_log_drive_folder_id ON legal_tenant.drive_access_log (drive_folder_id);
CREATE INDEX idx_drive_access_log_operation ON legal_tenant.drive_access_log (operation);
CREATE INDEX idx_drive_access_log_created_at ON legal_tenant.drive_access_log (created_at DESC);

ALTER TABLE legal_tenant.drive_access_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.drive_access_log FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.drive_access_log
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.drive_access_log
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.drive_access_log
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'drive_access_log')));

CREATE POLICY reader ON legal_tenant.drive_access_log
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.drive_access_log
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.drive_access_log TO cross_dept_query_role, federation_reader_role;

GRANT USAGE ON SEQUENCE legal_tenant.drive_access_log_id_seq
    TO legal_role, federation_admin_role;

-- Chunks of documents and their embeddings.
CREATE TABLE legal_tenant.vector_store_embeddings (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    document_id varchar(255) NOT NULL,
    document_type varchar(50) NOT NULL,
    chunk_index integer NOT NULL DEFAULT 0,
    chunk_text text NOT NULL,
    embedding_model varchar(100) NOT NULL,
    embedding_vector jsonb NOT NULL,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT vector_store_embeddings_pkey PRIMARY KEY (id),
    CONSTRAINT vector_store_embeddings_document_id_chunk_index_key UNIQUE (document_id, chunk_index),
    CONSTRAINT vector_store_embeddings_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_vector_store_embeddings_document_type
    ON legal_tenant.vector_store_embeddings (document_type);

ALTER TABLE legal_tenant.vector_store_embeddings ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.vector_store_embeddings FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.vector_store_embeddings
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.vector_store_embeddings
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.vector_store_embeddings
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'vector_store_embeddings')));

CREATE POLICY reader ON legal_tenant.vector_store_embeddings
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.vector_store_embeddings
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.vector_store_embeddings TO cross_dept_query_role, federation_reader_role;

-- Files that a session received or made, and where they are stored.
CREATE TABLE legal_tenant.file_attachments (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    tool_call_id varchar(100),
    file_name varchar(255) NOT NULL,
    file_path text NOT NULL,
    mime_type varchar(100),
    file_size_bytes bigint,
    storage_provider varchar(50),
    storage_id varchar(255),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_attachments_pkey PRIMARY KEY (id),
    CONSTRAINT file_attachments_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_file_attachments_session_id ON legal_tenant.file_attachments (session_id);
CREATE INDEX idx_file_attachments_tool_call_id ON legal_tenant.file_attachments (tool_call_id);

ALTER TABLE legal_tenant.file_attachments ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.file_attachments FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.file_attachments
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.file_attachments
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.file_attachments
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'file_attachments')));

CREATE POLICY reader ON legal_tenant.file_attachments
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.file_attachments
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.file_attachments TO cross_dept_query_role, federation_reader_role;

-- The department's own full-text search. Under row-level security `@@` never uses the index, since it is not leakproof; so
-- this runs as federation_reader_role, which the policies let read, and looks at this department's documents alone.
CREATE FUNCTION legal_tenant.search_documents(query text, max_results integer DEFAULT 20)
    RETURNS TABLE (id bigint, drive_file_id text, file_name text, snippet text, rank real)
    LANGUAGE plpgsql
    STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked record;
BEGIN
    SELECT * INTO asked FROM federation.search_query(query);
    IF asked.refusal IS NOT NULL THEN
        RAISE EXCEPTION '%', asked.refusal USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF max_results IS NULL OR max_results < 1 THEN
        RAISE EXCEPTION 'max_results is a number from 1 to 200' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
        SELECT best.id, best.drive_file_id::text, best.file_name::text,
               ts_headline(
                   'simple'::regconfig,
                   CASE WHEN octet_length(best.extracted_text) <= 1000 THEN best.extracted_text
                        ELSE federation.passage(best.extracted_text, asked.words) END,
                   asked.wanted, 'MaxFragments=1, MaxWords=24, MinWords=8, StartSel=**, StopSel=**'
               ),
               best.rank
        FROM (
            SELECT document.id, document.drive_file_id, document.file_name, document.extracted_text,
                   ts_rank(document.search_vector, asked.wanted) AS rank
            FROM legal_tenant.drive_document_repository AS document
            WHERE document.search_vector @@ asked.wanted
            ORDER BY rank DESC, document.id
            LIMIT least(max_results, 200)
        ) AS best
        ORDER BY best.rank DESC, best.id;
END;
$$;

GRANT EXECUTE ON FUNCTION legal_tenant.search_documents(text, int4)
    TO legal_role, federation_admin_role;

GRANT CREATE ON SCHEMA legal_tenant TO federation_reader_role;
ALTER FUNCTION legal_tenant.search_documents(text, int4) OWNER TO federation_reader_role;
REVOKE CREATE ON SCHEMA legal_tenant FROM federation_reader_role;

UPDATE legal_tenant.alembic_version SET version_num='tenant_0002_documents' WHERE legal_tenant.alembic_version.version_num = 'tenant_0001_core';

CALL federation.record_migration('legal', 'tenant_0002_documents', 'upgrade', 'sha256:f15e31c89ca53d94b617ef45b640272fe6422881c4a9523394f0f189d8351511');

-- upgrade tenant_0003_communication
-- Each e-mail that a session sent or tried to send.
CREATE TABLE legal_tenant.email_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    tool_call_id varchar(100),
    recipient_email varchar(255) NOT NULL,
    subject text NOT NULL,
    body text,
    attachments jsonb,
    status varchar(50) NOT NULL DEFAULT 'SENDING',
    message_id varchar(255),
    error_message text,
    sent_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    search_vector tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, regexp_replace(
        replace(lower(left(subject || ' ' || coalesce(body, ''), 100000)), '<!--', ' '), '[!-~]{255}', E'\\& ', 'g'
    ))) STORED,
    CONSTRAINT email_logs_pkey PRIMARY KEY (id),
    CONSTRAINT email_logs_department_check CHECK (department = 'legal'),
    CONSTRAINT email_logs_status_check CHECK (status::text IN ('SENDING', 'SENT', 'FAILED', 'BOUNCED'))
);

CREATE INDEX idx_email_logs_session_id ON legal_tenant.email_logs (session_id);
CREATE INDEX idx_email_logs_recipient_email ON legal_tenant.email_logs (recipient_email);
CREATE INDEX idx_email_logs_status ON legal_tenant.email_logs (status);
CREATE INDEX idx_email_logs_created_at ON legal_tenant.email_logs (created_at DESC);
CREATE INDEX idx_email_logs_search_vector ON legal_tenant.email_logs USING gin (search_vector);

ALTER TABLE legal_tenant.email_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.email_logs FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.email_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.email_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.email_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'emails')));

CREATE POLICY reader ON legal_tenant.email_logs
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.email_logs
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.email_logs TO cross_dept_query_role, federation_reader_role;

-- Events of the department's calendars.
CREATE TABLE legal_tenant.calendar_events (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    calendar_event_id varchar(255) NOT NULL,
    calendar_id varchar(255) NOT NULL,
    event_title varchar(500),
    event_description text,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    attendees jsonb,
    location varchar(500),
    status varchar(50),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT calendar_events_pkey PRIMARY KEY (id),
    CONSTRAINT calendar_events_calendar_event_id_key UNIQUE (calendar_event_id),
    CONSTRAINT calendar_events_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_calendar_events_start_time ON legal_tenant.calendar_events (start_time);
CREATE INDEX idx_calendar_events_status ON legal_tenant.calendar_events (status);

CREATE TRIGGER set_updated_at
    BEFORE UPDATE ON legal_tenant.calendar_events
    FOR EACH ROW EXECUTE FUNCTION legal_tenant.set_updated_at();

ALTER TABLE legal_tenant.calendar_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.calendar_events FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.calendar_events
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.calendar_events
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.calendar_events
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'calendar_events')));

CREATE POLICY reader ON legal_tenant.calendar_events
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.calendar_events
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.calendar_events TO cross_dept_query_role, federation_reader_role;

-- People and organizations that the department is in touch with.
CREATE TABLE legal_tenant.contacts (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    contact_id varchar(255) NOT NULL,
    full_name varchar(255),
    email_addresses jsonb,
    phone_numbers jsonb,
    organization varchar(255),
    job_title varchar(255),
    notes text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search_vector tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, regexp_replace(
        replace(lower(left(coalesce(full_name, '') || ' ' || coalesce(organization, '') || ' ' || coalesce(job_title, '')
            || ' ' || coalesce(notes, ''), 100000)), '<!--', ' '), '[!-~]{255}', E'\\& ', 'g'
    ))) STORED,
    CONSTRAINT contacts_pkey PRIMARY KEY (id),
    CONSTRAINT contacts_contact_id_key UNIQUE (contact_id),
    CONSTRAINT contacts_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_contacts_full_name ON legal_tenant.contacts (full_name);
CREATE INDEX idx_contacts_organization ON legal_tenant.contacts (organization);
CREATE INDEX idx_contacts_search_vector ON legal_tenant.contacts USING gin (search_vector);

CREATE TRIGGER set_updated_at
    BEFORE UPDATE ON legal_tenant.contacts
    FOR EACH ROW EXECUTE FUNCTION legal_tenant.set_updated_at();

ALTER TABLE legal_tenant.contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.contacts FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.contacts
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.contacts
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.contacts
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'contacts')));

CREATE POLICY reader ON legal_tenant.contacts
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.contacts
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.contacts TO cross_dept_query_role, federation_reader_role;

-- Notices to users of the department, unread while read_at is null.
CREATE TABLE legal_tenant.notifications (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    user_id varchar(100) NOT NULL,
    notification_type varchar(50) NOT NULL,
    title varchar(255) NOT NULL,
    message text,
    action_url text,
    read_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notifications_pkey PRIMARY KEY (id),
    CONSTRAINT notifications_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_notifications_user_id ON legal_tenant.notifications (user_id);
CREATE INDEX idx_notifications_notification_type ON legal_tenant.notifications (notification_type);
CREATE INDEX idx_notifications_read_at ON legal_tenant.notifications (read_at);
CREATE INDEX idx_notifications_created_at ON legal_tenant.notifications (created_at DESC);

ALTER TABLE legal_tenant.notifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.notifications FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.notifications
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.notifications
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.notifications
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'notifications')));

CREATE POLICY reader ON legal_tenant.notifications
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.notifications
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.notifications TO cross_dept_query_role, federation_reader_role;

UPDATE legal_tenant.alembic_version SET version_num='tenant_0003_communication' WHERE legal_tenant.alembic_version.version_num = 'tenant_0002_documents';

CALL federation.record_migration('legal', 'tenant_0003_communication', 'upgrade', 'sha256:7db4ad998d2922cc084a967853b2293bc923e4abb8bf270e36b736ce8839beda');

-- upgrade tenant_0004_analytics
-- What each session of a user came to: its length, turns, errors and score.
CREATE TABLE legal_tenant.user_session_analytics (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    user_id varchar(100),
    session_start timestamptz NOT NULL,
    session_end timestamptz,
    duration_seconds integer,
    total_turns integer DEFAULT 0,
    tool_calls_count integer DEFAULT 0,
    errors_count integer DEFAULT 0,
    satisfaction_score integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT user_session_analytics_pkey PRIMARY KEY (id),
    CONSTRAINT user_session_analytics_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_user_session_analytics_session_id
    ON legal_tenant.user_session_analytics (session_id);
CREATE INDEX idx_user_session_analytics_session_start
    ON legal_tenant.user_session_analytics (session_start DESC);

ALTER TABLE legal_tenant.user_session_analytics ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.user_session_analytics FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.user_session_analytics
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.user_session_analytics
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.user_session_analytics
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'user_session_analytics')));

CREATE POLICY reader ON legal_tenant.user_session_analytics
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.user_session_analytics
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.user_session_analytics TO cross_dept_query_role, federation_reader_role;

-- Measurements of sessions that training learns from.
CREATE TABLE legal_tenant.training_metrics (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    metric_type varchar(50) NOT NULL,
    metric_value numeric(10,2),
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT training_metrics_pkey PRIMARY KEY (id),
    CONSTRAINT training_metrics_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_training_metrics_session_id ON legal_tenant.training_metrics (session_id);
CREATE INDEX idx_training_metrics_metric_type ON legal_tenant.training_metrics (metric_type);
CREATE INDEX idx_training_metrics_created_at ON legal_tenant.training_metrics (created_at DESC);

ALTER TABLE legal_tenant.training_metrics ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.training_metrics FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.training_metrics
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.training_metrics
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.training_metrics
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'training_metrics')));

CREATE POLICY reader ON legal_tenant.training_metrics
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.training_metrics
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.training_metrics TO cross_dept_query_role, federation_reader_role;

-- Tokens, time and cost of each request to a language model.
CREATE TABLE legal_tenant.llm_usage_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    provider varchar(50) NOT NULL,
    model varchar(100) NOT NULL,
    prompt_tokens integer,
    completion_tokens integer,
    total_tokens integer,
    request_duration_ms integer,
    cost_usd numeric(10,6),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT llm_usage_logs_pkey PRIMARY KEY (id),
    CONSTRAINT llm_usage_logs_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_llm_usage_logs_session_id ON legal_tenant.llm_usage_logs (session_id);
CREATE INDEX idx_llm_usage_logs_provider ON legal_tenant.llm_usage_logs (provider);
CREATE INDEX idx_llm_usage_logs_created_at ON legal_tenant.llm_usage_logs (created_at DESC);

ALTER TABLE legal_tenant.llm_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.llm_usage_logs FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.llm_usage_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.llm_usage_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.llm_usage_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'llm_usage_logs')));

CREATE POLICY reader ON legal_tenant.llm_usage_logs
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.llm_usage_logs
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.llm_usage_logs TO cross_dept_query_role, federation_reader_role;

-- Audio length, time and cost of each transcription of speech to text.
CREATE TABLE legal_tenant.stt_usage_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    provider varchar(50) NOT NULL DEFAULT 'deepgram',
    model varchar(100) NOT NULL,
    audio_duration_seconds numeric(10,2),
    transcription_duration_ms integer,
    cost_usd numeric(10,6),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stt_usage_logs_pkey PRIMARY KEY (id),
    CONSTRAINT stt_usage_logs_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_stt_usage_logs_session_id ON legal_tenant.stt_usage_logs (session_id);
CREATE INDEX idx_stt_usage_logs_created_at ON legal_tenant.stt_usage_logs (created_at DESC);

ALTER TABLE legal_tenant.stt_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.stt_usage_logs FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.stt_usage_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.stt_usage_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.stt_usage_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'stt_usage_logs')));

CREATE POLICY reader ON legal_tenant.stt_usage_logs
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.stt_usage_logs
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.stt_usage_logs TO cross_dept_query_role, federation_reader_role;

-- Text length, time and cost of each synthesis of text to speech.
CREATE TABLE legal_tenant.tts_usage_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    provider varchar(50) NOT NULL DEFAULT 'cartesia',
    voice varchar(100) NOT NULL,
    text_length integer,
    audio_duration_seconds numeric(10,2),
    synthesis_duration_ms integer,
    cost_usd numeric(10,6),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tts_usage_logs_pkey PRIMARY KEY (id),
    CONSTRAINT tts_usage_logs_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_tts_usage_logs_session_id ON legal_tenant.tts_usage_logs (session_id);
CREATE INDEX idx_tts_usage_logs_created_at ON legal_tenant.tts_usage_logs (created_at DESC);

ALTER TABLE legal_tenant.tts_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.tts_usage_logs FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.tts_usage_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.tts_usage_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.tts_usage_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'tts_usage_logs')));

CREATE POLICY reader ON legal_tenant.tts_usage_logs
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.tts_usage_logs
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.tts_usage_logs TO cross_dept_query_role, federation_reader_role;

UPDATE legal_tenant.alembic_version SET version_num='tenant_0004_analytics' WHERE legal_tenant.alembic_version.version_num = 'tenant_0003_communication';

CALL federation.record_migration('legal', 'tenant_0004_analytics', 'upgrade', 'sha256:d42bd5000ef1164a2bf8e05417cfe45c184e3df3dbe01fd0d8073723c1d96f22');

-- upgrade tenant_0005_workflows
-- Each run of an n8n workflow, with its input and output.
CREATE TABLE legal_tenant.workflow_executions (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    tool_call_id varchar(100),
    workflow_id varchar(100) NOT NULL,
    workflow_name varchar(255),
    execution_id varchar(255),
    status varchar(50) NOT NULL,
    input_data jsonb,
    output_data jsonb,
    error_message text,
    execution_time_ms integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workflow_executions_pkey PRIMARY KEY (id),
    CONSTRAINT workflow_executions_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_workflow_executions_session_id ON legal_tenant.workflow_executions (session_id);
CREATE INDEX idx_workflow_executions_workflow_id ON legal_tenant.workflow_executions (workflow_id);
CREATE INDEX idx_workflow_executions_status ON legal_tenant.workflow_executions (status);

ALTER TABLE legal_tenant.workflow_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.workflow_executions FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.workflow_executions
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.workflow_executions
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.workflow_executions
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'workflow_executions')));

CREATE POLICY reader ON legal_tenant.workflow_executions
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.workflow_executions
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.workflow_executions TO cross_dept_query_role, federation_reader_role;

-- Tasks that run at a time or by a schedule.
CREATE TABLE legal_tenant.scheduled_tasks (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    task_name varchar(255) NOT NULL,
    task_type varchar(50) NOT NULL,
    schedule_expression varchar(100),
    next_run_at timestamptz,
    last_run_at timestamptz,
    status varchar(20) DEFAULT 'ACTIVE',
    task_data jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT scheduled_tasks_pkey PRIMARY KEY (id),
    CONSTRAINT scheduled_tasks_department_check CHECK (department = 'legal'),
    CONSTRAINT scheduled_tasks_status_check CHECK (status::text IN ('ACTIVE', 'PAUSED', 'COMPLETED', 'CANCELLED'))
);

CREATE INDEX idx_scheduled_tasks_next_run_at ON legal_tenant.scheduled_tasks (next_run_at);
CREATE INDEX idx_scheduled_tasks_status ON legal_tenant.scheduled_tasks (status);

ALTER TABLE legal_tenant.scheduled_tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.scheduled_tasks FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.scheduled_tasks
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.scheduled_tasks
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.scheduled_tasks
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'scheduled_tasks')));

CREATE POLICY reader ON legal_tenant.scheduled_tasks
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.scheduled_tasks
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.scheduled_tasks TO cross_dept_query_role, federation_reader_role;

-- Errors of tools and workflows, with what is needed to find their cause.
CREATE TABLE legal_tenant.error_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100),
    tool_call_id varchar(100),
    error_type varchar(100) NOT NULL,
    error_message text NOT NULL,
    stack_trace text,
    context jsonb,
    severity varchar(20) DEFAULT 'ERROR',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT error_logs_pkey PRIMARY KEY (id),
    CONSTRAINT error_logs_department_check CHECK (department = 'legal'),
    CONSTRAINT error_logs_severity_check CHECK (severity::text IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'))
);

CREATE INDEX idx_error_logs_session_id ON legal_tenant.error_logs (session_id);
CREATE INDEX idx_error_logs_error_type ON legal_tenant.error_logs (error_type);
CREATE INDEX idx_error_logs_severity ON legal_tenant.error_logs (severity);
CREATE INDEX idx_error_logs_created_at ON legal_tenant.error_logs (created_at DESC);

ALTER TABLE legal_tenant.error_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.error_logs FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.error_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.error_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.error_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'error_logs')));

CREATE POLICY reader ON legal_tenant.error_logs
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.error_logs
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.error_logs TO cross_dept_query_role, federation_reader_role;

UPDATE legal_tenant.alembic_version SET version_num='tenant_0005_workflows' WHERE legal_tenant.alembic_version.version_num = 'tenant_0004_analytics';

CALL federation.record_migration('legal', 'tenant_0005_workflows', 'upgrade', 'sha256:25d33a7e719f19afcaaf8cdd006d05592ff37a08d3b99bf4c1698bb4dc75cb2c');

-- upgrade tenant_0006_configuration
-- What each user chose, a value a key.
CREATE TABLE legal_tenant.user_preferences (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    user_id varchar(100) NOT NULL,
    preference_key varchar(100) NOT NULL,
    preference_value jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT user_preferences_pkey PRIMARY KEY (id),
    CONSTRAINT user_preferences_user_id_preference_key_key UNIQUE (user_id, preference_key),
    CONSTRAINT user_preferences_department_check CHECK (department = 'legal')
);

CREATE TRIGGER set_updated_at
    BEFORE UPDATE ON legal_tenant.user_preferences
    FOR EACH ROW EXECUTE FUNCTION legal_tenant.set_updated_at();

ALTER TABLE legal_tenant.user_preferences ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.user_preferences FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.user_preferences
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.user_preferences
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.user_preferences
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'user_preferences')));

CREATE POLICY reader ON legal_tenant.user_preferences
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.user_preferences
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.user_preferences TO cross_dept_query_role, federation_reader_role;

-- Features that the department has switched on or off.
CREATE TABLE legal_tenant.feature_flags (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    feature_name varchar(100) NOT NULL,
    enabled boolean DEFAULT false,
    config jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT feature_flags_pkey PRIMARY KEY (id),
    CONSTRAINT feature_flags_department_feature_name_key UNIQUE (department, feature_name),
    CONSTRAINT feature_flags_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_feature_flags_enabled ON legal_tenant.feature_flags (enabled);

CREATE TRIGGER set_updated_at
    BEFORE UPDATE ON legal_tenant.feature_flags
    FOR EACH ROW EXECUTE FUNCTION legal_tenant.set_updated_at();

ALTER TABLE legal_tenant.feature_flags ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.feature_flags FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.feature_flags
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.feature_flags
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

CREATE POLICY cross_dept_read ON legal_tenant.feature_flags
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'feature_flags')));

CREATE POLICY reader ON legal_tenant.feature_flags
    FOR SELECT TO federation_reader_role
    USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.feature_flags
    TO legal_role, federation_admin_role;

GRANT SELECT ON legal_tenant.feature_flags TO cross_dept_query_role, federation_reader_role;

-- Keys of external services, encrypted before they come here.
CREATE TABLE legal_tenant.api_keys (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    service_name varchar(100) NOT NULL,
    api_key_name varchar(255) NOT NULL,
    api_key_encrypted bytea NOT NULL,
    scopes jsonb,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    rotated_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_service_name_api_key_name_key UNIQUE (service_name, api_key_name),
    CONSTRAINT api_keys_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_api_keys_expires_at ON legal_tenant.api_keys (expires_at);

ALTER TABLE legal_tenant.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.api_keys FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.api_keys
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.api_keys
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

GRANT SELECT, INSERT, UPDATE, DELETE ON legal_tenant.api_keys
    TO legal_role, federation_admin_role;

-- The security log of the department; rows are only ever added.
CREATE TABLE legal_tenant.audit_trail (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT 'legal',
    event_type varchar(50) NOT NULL,
    user_id varchar(100),
    session_id varchar(100),
    resource_type varchar(50),
    resource_id varchar(255),
    action varchar(50) NOT NULL,
    details jsonb,
    ip_address inet,
    user_agent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_trail_pkey PRIMARY KEY (id),
    CONSTRAINT audit_trail_department_check CHECK (department = 'legal')
);

CREATE INDEX idx_audit_trail_event_type ON legal_tenant.audit_trail (event_type);
CREATE INDEX idx_audit_trail_created_at ON legal_tenant.audit_trail (created_at DESC);
CREATE INDEX idx_audit_trail_session_id ON legal_tenant.audit_trail (session_id);

ALTER TABLE legal_tenant.audit_trail ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.audit_trail FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.audit_trail
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.audit_trail
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

GRANT SELECT, INSERT ON legal_tenant.audit_trail
    TO legal_role, federation_admin_role;

UPDATE legal_tenant.alembic_version SET version_num='tenant_0006_configuration' WHERE legal_tenant.alembic_version.version_num = 'tenant_0005_workflows';

CALL federation.record_migration('legal', 'tenant_0006_configuration', 'upgrade', 'sha256:6b7710fee554a74f911f10fe5edae5cf5f483fdbfdd5d6634c5a8bdabfd14aa0');

-- upgrade tenant_0007_retention
-- The rows that archive_old_conversation_history took out of conversation_history, kept readable under their old ids.
CREATE TABLE legal_tenant.conversation_history_archive (
    id bigint NOT NULL,
    department varchar(100) NOT NULL DEFAULT 'legal',
    session_id varchar(100) NOT NULL,
    turn_index integer NOT NULL,
    speaker varchar(20) NOT NULL,
    message_text text NOT NULL,
    audio_duration_ms integer,
    "timestamp" timestamptz NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT conversation_history_archive_pkey PRIMARY KEY (id),
    CONSTRAINT conversation_history_archive_department_check CHECK (department = 'legal'),
    CONSTRAINT conversation_history_archive_speaker_check CHECK (speaker::text IN ('user', 'agent', 'system'))
);

CREATE INDEX idx_conversation_history_archive_session_id_turn_index
    ON legal_tenant.conversation_history_archive (session_id, turn_index);
CREATE INDEX idx_conversation_history_archive_timestamp
    ON legal_tenant.conversation_history_archive ("timestamp" DESC);

ALTER TABLE legal_tenant.conversation_history_archive ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.conversation_history_archive FORCE ROW LEVEL SECURITY;

CREATE POLICY isolation ON legal_tenant.conversation_history_archive
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

CREATE POLICY admin_bypass ON legal_tenant.conversation_history_archive
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

GRANT SELECT, INSERT ON legal_tenant.conversation_history_archive
    TO legal_role, federation_admin_role;

-- Deletes the values of session_context whose time is over and returns how many there were.
CREATE FUNCTION legal_tenant.cleanup_expired_session_context() RETURNS integer
    LANGUAGE sql
    VOLATILE
    SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH expired AS (
        DELETE FROM legal_tenant.session_context
        WHERE expires_at < pg_catalog.now()
        RETURNING id
    )
    SELECT pg_catalog.count(*)::integer
    FROM expired;
END;

GRANT EXECUTE ON FUNCTION legal_tenant.cleanup_expired_session_context()
    TO legal_role, federation_admin_role;

-- Moves the rows of conversation_history that are older than 2 years into its archive and returns how many there were.
CREATE FUNCTION legal_tenant.archive_old_conversation_history() RETURNS integer
    LANGUAGE sql
    VOLATILE
    SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH taken AS (
        DELETE FROM legal_tenant.conversation_history
        WHERE "timestamp" < pg_catalog.now() - interval '2 years'
        RETURNING id, department, session_id, turn_index, speaker, message_text, audio_duration_ms, "timestamp"
    ), archived AS (
        INSERT INTO legal_tenant.conversation_history_archive
            (id, department, session_id, turn_index, speaker, message_text, audio_duration_ms, "timestamp")
        SELECT id, department, session_id, turn_index, speaker, message_text, audio_duration_ms, "timestamp"
        FROM taken
        RETURNING id
    )
    SELECT pg_catalog.count(*)::integer
    FROM archived;
END;

GRANT EXECUTE ON FUNCTION legal_tenant.archive_old_conversation_history()
    TO legal_role, federation_admin_role;

UPDATE legal_tenant.alembic_version SET version_num='tenant_0007_retention' WHERE legal_tenant.alembic_version.version_num = 'tenant_0006_configuration';

CALL federation.record_migration('legal', 'tenant_0007_retention', 'upgrade', 'sha256:0216c787fc0794c0c8b7b96314f3891c61b78921d90d7539c4247105612f275f');

-- Nothing is committed that stands open.
CALL federation.assert_walls('legal');

-- As late as can be: from PostgreSQL 16 on, granting a role holds a lock on it to the end of the transaction, and all
-- departments are granted the same one. Those that are made at the same time would wait for each other from here on.
CALL federation.claim_role('legal');
UPDATE federation.departments SET status = 'ACTIVE' WHERE department_id = 'legal';

COMMIT;
