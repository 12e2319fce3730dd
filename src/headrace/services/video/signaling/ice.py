"""STUN and TURN servers, as the setting `video_ice_servers` names them."""

import re
from typing import Any
from urllib.parse import unquote

TTL_SECONDS = 300
_SERVER = re.compile(r"(?P<kind>stuns?|turns?):(?:(?P<user>[^:@\s]+):(?P<password>[^@\s]+)@)?(?P<rest>[^@\s]+)\Z")


def servers(setting: str) -> list[dict[str, Any]]:
    """AWS's IceServerList. ValueError when the setting can't be read."""
    found = []
    for text in setting.split():
        parsed = _SERVER.match(text)
        if parsed is None:
            raise ValueError(f"{text} is no STUN or TURN server: stun:HOST:PORT, or turn:USER:PASSWORD@HOST:PORT?transport=udp")
        server: dict[str, Any] = {"Uris": [f"{parsed['kind']}:{parsed['rest']}"]}
        if parsed["user"]:
            server |= {"Username": unquote(parsed["user"]), "Password": unquote(parsed["password"]), "Ttl": TTL_SECONDS}
        found.append(server)
    return found
