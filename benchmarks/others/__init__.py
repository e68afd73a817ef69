"""Other tools that migrate a schema for each tenant, measured on the same tables as fedschema."""
