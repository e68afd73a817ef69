"""The tables, as statements: without models, which spares Django most of its own work."""
