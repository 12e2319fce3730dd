"""The roles that deliveries act with."""

from headrace.roles import Roles

ROLES = Roles("firehose.amazonaws.com", "firehose")
