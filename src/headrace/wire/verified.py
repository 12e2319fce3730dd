"""What a checked signature tells."""

import msgspec


class Verified(msgspec.Struct):
    """Who signed, and what the signature covers."""

    access_key_id: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    payload: str  # hashed, unsigned, chunks, chunks-trailer, unsigned-trailer
    payload_sha256: str  # of a hashed payload
    presigned: bool
    signing_key: bytes
    signature: str
    amz_date: str
    scope: str
