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
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.tool_calls;
CREATE POLICY admin_bypass ON legal_tenant.tool_calls
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.tool_calls;
CREATE POLICY cross_dept_read ON legal_tenant.tool_calls
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'tool_calls')));
DROP POLICY IF EXISTS reader ON legal_tenant.tool_calls;
CREATE POLICY reader ON legal_tenant.tool_calls
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.agent_context ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.agent_context FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.agent_context;
CREATE POLICY isolation ON legal_tenant.agent_context
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.agent_context;
CREATE POLICY admin_bypass ON legal_tenant.agent_context
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.agent_context;
CREATE POLICY cross_dept_read ON legal_tenant.agent_context
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'agent_context')));
DROP POLICY IF EXISTS reader ON legal_tenant.agent_context;
CREATE POLICY reader ON legal_tenant.agent_context
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.conversation_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.conversation_history FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.conversation_history;
CREATE POLICY isolation ON legal_tenant.conversation_history
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.conversation_history;
CREATE POLICY admin_bypass ON legal_tenant.conversation_history
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.conversation_history;
CREATE POLICY cross_dept_read ON legal_tenant.conversation_history
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'conversation_history')));
DROP POLICY IF EXISTS reader ON legal_tenant.conversation_history;
CREATE POLICY reader ON legal_tenant.conversation_history
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.session_context ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.session_context FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.session_context;
CREATE POLICY isolation ON legal_tenant.session_context
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.session_context;
CREATE POLICY admin_bypass ON legal_tenant.session_context
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.drive_document_repository ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.drive_document_repository FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.drive_document_repository;
CREATE POLICY isolation ON legal_tenant.drive_document_repository
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.drive_document_repository;
CREATE POLICY admin_bypass ON legal_tenant.drive_document_repository
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.drive_document_repository;
CREATE POLICY cross_dept_read ON legal_tenant.drive_document_repository
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'drive_documents')));
DROP POLICY IF EXISTS reader ON legal_tenant.drive_document_repository;
CREATE POLICY reader ON legal_tenant.drive_document_repository
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.drive_access_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.drive_access_log FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.drive_access_log;
CREATE POLICY isolation ON legal_tenant.drive_access_log
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.drive_access_log;
CREATE POLICY admin_bypass ON legal_tenant.drive_access_log
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.drive_access_log;
CREATE POLICY cross_dept_read ON legal_tenant.drive_access_log
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'drive_access_log')));
DROP POLICY IF EXISTS reader ON legal_tenant.drive_access_log;
CREATE POLICY reader ON legal_tenant.drive_access_log
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.vector_store_embeddings ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.vector_store_embeddings FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.vector_store_embeddings;
CREATE POLICY isolation ON legal_tenant.vector_store_embeddings
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.vector_store_embeddings;
CREATE POLICY admin_bypass ON legal_tenant.vector_store_embeddings
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.vector_store_embeddings;
CREATE POLICY cross_dept_read ON legal_tenant.vector_store_embeddings
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'vector_store_embeddings')));
DROP POLICY IF EXISTS reader ON legal_tenant.vector_store_embeddings;
CREATE POLICY reader ON legal_tenant.vector_store_embeddings
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.file_attachments ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.file_attachments FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.file_attachments;
CREATE POLICY isolation ON legal_tenant.file_attachments
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.file_attachments;
CREATE POLICY admin_bypass ON legal_tenant.file_attachments
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.file_attachments;
CREATE POLICY cross_dept_read ON legal_tenant.file_attachments
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'file_attachments')));
DROP POLICY IF EXISTS reader ON legal_tenant.file_attachments;
CREATE POLICY reader ON legal_tenant.file_attachments
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.email_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.email_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.email_logs;
CREATE POLICY isolation ON legal_tenant.email_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.email_logs;
CREATE POLICY admin_bypass ON legal_tenant.email_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.email_logs;
CREATE POLICY cross_dept_read ON legal_tenant.email_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'emails')));
DROP POLICY IF EXISTS reader ON legal_tenant.email_logs;
CREATE POLICY reader ON legal_tenant.email_logs
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.calendar_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.calendar_events FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.calendar_events;
CREATE POLICY isolation ON legal_tenant.calendar_events
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.calendar_events;
CREATE POLICY admin_bypass ON legal_tenant.calendar_events
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.calendar_events;
CREATE POLICY cross_dept_read ON legal_tenant.calendar_events
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'calendar_events')));
DROP POLICY IF EXISTS reader ON legal_tenant.calendar_events;
CREATE POLICY reader ON legal_tenant.calendar_events
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.contacts FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.contacts;
CREATE POLICY isolation ON legal_tenant.contacts
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.contacts;
CREATE POLICY admin_bypass ON legal_tenant.contacts
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.contacts;
CREATE POLICY cross_dept_read ON legal_tenant.contacts
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'contacts')));
DROP POLICY IF EXISTS reader ON legal_tenant.contacts;
CREATE POLICY reader ON legal_tenant.contacts
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.notifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.notifications FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.notifications;
CREATE POLICY isolation ON legal_tenant.notifications
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.notifications;
CREATE POLICY admin_bypass ON legal_tenant.notifications
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.notifications;
CREATE POLICY cross_dept_read ON legal_tenant.notifications
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'notifications')));
DROP POLICY IF EXISTS reader ON legal_tenant.notifications;
CREATE POLICY reader ON legal_tenant.notifications
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.user_session_analytics ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.user_session_analytics FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.user_session_analytics;
CREATE POLICY isolation ON legal_tenant.user_session_analytics
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.user_session_analytics;
CREATE POLICY admin_bypass ON legal_tenant.user_session_analytics
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.user_session_analytics;
CREATE POLICY cross_dept_read ON legal_tenant.user_session_analytics
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'user_session_analytics')));
DROP POLICY IF EXISTS reader ON legal_tenant.user_session_analytics;
CREATE POLICY reader ON legal_tenant.user_session_analytics
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.training_metrics ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.training_metrics FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.training_metrics;
CREATE POLICY isolation ON legal_tenant.training_metrics
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.training_metrics;
CREATE POLICY admin_bypass ON legal_tenant.training_metrics
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.training_metrics;
CREATE POLICY cross_dept_read ON legal_tenant.training_metrics
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'training_metrics')));
DROP POLICY IF EXISTS reader ON legal_tenant.training_metrics;
CREATE POLICY reader ON legal_tenant.training_metrics
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.llm_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.llm_usage_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.llm_usage_logs;
CREATE POLICY isolation ON legal_tenant.llm_usage_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.llm_usage_logs;
CREATE POLICY admin_bypass ON legal_tenant.llm_usage_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.llm_usage_logs;
CREATE POLICY cross_dept_read ON legal_tenant.llm_usage_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'llm_usage_logs')));
DROP POLICY IF EXISTS reader ON legal_tenant.llm_usage_logs;
CREATE POLICY reader ON legal_tenant.llm_usage_logs
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.stt_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.stt_usage_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.stt_usage_logs;
CREATE POLICY isolation ON legal_tenant.stt_usage_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.stt_usage_logs;
CREATE POLICY admin_bypass ON legal_tenant.stt_usage_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.stt_usage_logs;
CREATE POLICY cross_dept_read ON legal_tenant.stt_usage_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'stt_usage_logs')));
DROP POLICY IF EXISTS reader ON legal_tenant.stt_usage_logs;
CREATE POLICY reader ON legal_tenant.stt_usage_logs
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.tts_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.tts_usage_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.tts_usage_logs;
CREATE POLICY isolation ON legal_tenant.tts_usage_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.tts_usage_logs;
CREATE POLICY admin_bypass ON legal_tenant.tts_usage_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.tts_usage_logs;
CREATE POLICY cross_dept_read ON legal_tenant.tts_usage_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'tts_usage_logs')));
DROP POLICY IF EXISTS reader ON legal_tenant.tts_usage_logs;
CREATE POLICY reader ON legal_tenant.tts_usage_logs
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.workflow_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.workflow_executions FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.workflow_executions;
CREATE POLICY isolation ON legal_tenant.workflow_executions
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.workflow_executions;
CREATE POLICY admin_bypass ON legal_tenant.workflow_executions
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.workflow_executions;
CREATE POLICY cross_dept_read ON legal_tenant.workflow_executions
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'workflow_executions')));
DROP POLICY IF EXISTS reader ON legal_tenant.workflow_executions;
CREATE POLICY reader ON legal_tenant.workflow_executions
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.scheduled_tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.scheduled_tasks FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.scheduled_tasks;
CREATE POLICY isolation ON legal_tenant.scheduled_tasks
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.scheduled_tasks;
CREATE POLICY admin_bypass ON legal_tenant.scheduled_tasks
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.scheduled_tasks;
CREATE POLICY cross_dept_read ON legal_tenant.scheduled_tasks
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'scheduled_tasks')));
DROP POLICY IF EXISTS reader ON legal_tenant.scheduled_tasks;
CREATE POLICY reader ON legal_tenant.scheduled_tasks
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.error_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.error_logs FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.error_logs;
CREATE POLICY isolation ON legal_tenant.error_logs
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.error_logs;
CREATE POLICY admin_bypass ON legal_tenant.error_logs
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.error_logs;
CREATE POLICY cross_dept_read ON legal_tenant.error_logs
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'error_logs')));
DROP POLICY IF EXISTS reader ON legal_tenant.error_logs;
CREATE POLICY reader ON legal_tenant.error_logs
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.user_preferences ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.user_preferences FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.user_preferences;
CREATE POLICY isolation ON legal_tenant.user_preferences
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.user_preferences;
CREATE POLICY admin_bypass ON legal_tenant.user_preferences
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.user_preferences;
CREATE POLICY cross_dept_read ON legal_tenant.user_preferences
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'user_preferences')));
DROP POLICY IF EXISTS reader ON legal_tenant.user_preferences;
CREATE POLICY reader ON legal_tenant.user_preferences
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.feature_flags ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.feature_flags FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.feature_flags;
CREATE POLICY isolation ON legal_tenant.feature_flags
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.feature_flags;
CREATE POLICY admin_bypass ON legal_tenant.feature_flags
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS cross_dept_read ON legal_tenant.feature_flags;
CREATE POLICY cross_dept_read ON legal_tenant.feature_flags
    FOR SELECT TO cross_dept_query_role
    USING ((SELECT federation.cross_dept_gate('legal', 'feature_flags')));
DROP POLICY IF EXISTS reader ON legal_tenant.feature_flags;
CREATE POLICY reader ON legal_tenant.feature_flags
    FOR SELECT TO federation_reader_role
    USING (true);
ALTER TABLE legal_tenant.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.api_keys FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.api_keys;
CREATE POLICY isolation ON legal_tenant.api_keys
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.api_keys;
CREATE POLICY admin_bypass ON legal_tenant.api_keys
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.audit_trail ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.audit_trail FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.audit_trail;
CREATE POLICY isolation ON legal_tenant.audit_trail
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.audit_trail;
CREATE POLICY admin_bypass ON legal_tenant.audit_trail
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');
ALTER TABLE legal_tenant.conversation_history_archive ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_tenant.conversation_history_archive FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS isolation ON legal_tenant.conversation_history_archive;
CREATE POLICY isolation ON legal_tenant.conversation_history_archive
    FOR ALL TO legal_role
    USING (department = 'legal')
    WITH CHECK (department = 'legal');
DROP POLICY IF EXISTS admin_bypass ON legal_tenant.conversation_history_archive;
CREATE POLICY admin_bypass ON legal_tenant.conversation_history_archive
    FOR ALL TO federation_admin_role
    USING (true)
    WITH CHECK (department = 'legal');

COMMIT;
