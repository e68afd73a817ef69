"""The embedded PostgreSQL, tested with real servers, as root and as an ordinary user."""
