"""The PostgreSQL that fedschema brings along: a persistent server for a project, throwaway ones for tests.

Only what the standard library offers is imported here, and PostgreSQL's programs are run as they are.
"""

from fedschema.embedded.binaries import Binaries, packaged_directory
from fedschema.embedded.errors import EmbeddedServerError
from fedschema.embedded.placement import Endpoint
from fedschema.embedded.server import EmbeddedServer, ServerStatus
from fedschema.embedded.throwaway import ThrowawayServer, throwaway_server

__all__ = [
    "Binaries",
    "EmbeddedServer",
    "EmbeddedServerError",
    "Endpoint",
    "ServerStatus",
    "ThrowawayServer",
    "packaged_directory",
    "throwaway_server",
]
