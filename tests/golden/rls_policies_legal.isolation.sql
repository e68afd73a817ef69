BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL ROLE federation_owner; SET LOCAL row_security = on; SET LOCAL search_path = pg_catalog, pg_temp;

ALTER TABLE legal_tenant.tool_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.tool_calls FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.tool_calls;
CREATE POLICY isolation ON legal_tenant.tool_calls
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.agent_context ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.agent_context FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.agent_context;
CREATE POLICY isolation ON legal_tenant.agent_context
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.conversation_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.conversation_history FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.conversation_history;
CREATE POLICY isolation ON legal_tenant.conversation_history
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.session_context ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.session_context FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.session_context;
CREATE POLICY isolation ON legal_tenant.session_context
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.drive_document_repository ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.drive_document_repository FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.drive_document_repository;
CREATE POLICY isolation ON legal_tenant.drive_document_repository
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.drive_access_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.drive_access_log FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.drive_access_log;
CREATE POLICY isolation ON legal_tenant.drive_access_log
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.vector_store_embeddings ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.vector_store_embeddings FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.vector_store_embeddings;
CREATE POLICY isolation ON legal_tenant.vector_store_embeddings
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.file_attachments ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.file_attachments FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.file_attachments;
CREATE POLICY isolation ON legal_tenant.file_attachments
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.email_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.email_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.email_logs;
CREATE POLICY isolation ON legal_tenant.email_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.calendar_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.calendar_events FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.calendar_events;
CREATE POLICY isolation ON legal_tenant.calendar_events
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.contacts FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.contacts;
CREATE POLICY isolation ON legal_tenant.contacts
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.notifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.notifications FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.notifications;
CREATE POLICY isolation ON legal_tenant.notifications
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.user_session_analytics ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.user_session_analytics FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.user_session_analytics;
CREATE POLICY isolation ON legal_tenant.user_session_analytics
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.training_metrics ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.training_metrics FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.training_metrics;
CREATE POLICY isolation ON legal_tenant.training_metrics
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.llm_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.llm_usage_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.llm_usage_logs;
CREATE POLICY isolation ON legal_tenant.llm_usage_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.stt_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.stt_usage_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.stt_usage_logs;
CREATE POLICY isolation ON legal_tenant.stt_usage_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.tts_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.tts_usage_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.tts_usage_logs;
CREATE POLICY isolation ON legal_tenant.tts_usage_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.workflow_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.workflow_executions FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.workflow_executions;
CREATE POLICY isolation ON legal_tenant.workflow_executions
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.scheduled_tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.scheduled_tasks FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.scheduled_tasks;
CREATE POLICY isolation ON legal_tenant.scheduled_tasks
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.error_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.error_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.error_logs;
CREATE POLICY isolation ON legal_tenant.error_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.user_preferences ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.user_preferences FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.user_preferences;
CREATE POLICY isolation ON legal_tenant.user_preferences
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.feature_flags ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.feature_flags FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.feature_flags;
CREATE POLICY isolation ON legal_tenant.feature_flags
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.api_keys FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.api_keys;
CREATE POLICY isolation ON legal_tenant.api_keys
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.audit_trail ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.audit_trail FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.audit_trail;
CREATE POLICY isolation ON legal_tenant.audit_trail
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.conversation_history_archive ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.conversation_history_archive FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.conversation_history_archive;
CREATE POLICY isolation ON legal_tenant.conversation_history_archive
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');

COMMIT;
