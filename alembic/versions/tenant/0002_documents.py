"""Document management: Drive files with their text and analysis, embeddings, attachments, and the search for them."""

from alembic import op

revision = "tenant_0002_documents"
down_revision = "tenant_0001_core"
branch_labels = None
depends_on = None

TABLES = {
    "family": "documents",
    "shared": {
        "drive_document_repository": "drive_documents",
        "drive_access_log": "drive_access_log",
        "vector_store_embeddings": "vector_store_embeddings",
        "file_attachments": "file_attachments",
    },
    "identity": ("drive_document_repository", "drive_access_log"),
}
SEARCH = {"family": "documents", "function": "search_documents", "arguments": ("text", "int4"), "as_reader": True}


def upgrade() -> None:
    op.create_tenant_function("documents", "set_search_vector", callable_=False)
    # fedschema: ignore[prefer-bigint-over-int] the specification of the tables says integer
    op.create_tenant_tables(**TABLES)
    op.create_tenant_function(**SEARCH)


def downgrade() -> None:
    op.drop_tenant_function(**SEARCH)
    op.drop_tenant_tables(**TABLES)
    op.drop_tenant_function("documents", "set_search_vector", callable_=False)
