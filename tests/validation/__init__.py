"""`fedschema validate`: each hole is named, a healthy database is left in peace, and nothing is left behind."""
