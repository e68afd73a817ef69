"""What fedschema costs, against psql applying the same SQL to the same server. Run by hand, never as a timed test."""
