"""The model of PutMedia, which no AWS model file has: Amazon documents it, and its producers speak it by hand.

Written in the form of botocore's files, so that it is parsed, validated, authorised and answered as every other operation.
"""

from collections.abc import Mapping
from typing import Any

SERVICE = "kinesis-video-put-media"


def _text(pattern: str, length_max: int) -> dict[str, Any]:
    return {"type": "string", "min": 1, "max": length_max, "pattern": pattern}


def _error(status: int) -> dict[str, Any]:
    return {
        "type": "structure",
        "members": {"Message": {"shape": "ErrorMessage"}},
        "error": {"httpStatusCode": status},
        "exception": True,
    }


_ERRORS = {
    "ResourceNotFoundException": 404,
    "NotAuthorizedException": 401,
    "InvalidEndpointException": 400,
    "InvalidArgumentException": 400,
    "ClientLimitExceededException": 400,
    "ConnectionLimitExceededException": 400,
}

MODEL: Mapping[str, Any] = {
    "metadata": {
        "apiVersion": "2017-09-30",
        "endpointPrefix": "kinesisvideo",
        "protocol": "rest-json",
        "protocols": ["rest-json"],
        "serviceId": "Kinesis Video Media",
        "signatureVersion": "v4",
        "signingName": "kinesisvideo",
    },
    "operations": {
        "PutMedia": {
            "name": "PutMedia",
            "http": {"method": "POST", "requestUri": "/putMedia"},
            "endless": True,
            "input": {"shape": "PutMediaInput"},
            "output": {"shape": "PutMediaOutput"},
            "errors": [{"shape": name} for name in _ERRORS],
        }
    },
    "shapes": {
        "PutMediaInput": {
            "type": "structure",
            "required": ["FragmentTimecodeType"],
            "members": {
                "StreamName": {"shape": "StreamName", "location": "header", "locationName": "x-amzn-stream-name"},
                "StreamARN": {"shape": "ResourceARN", "location": "header", "locationName": "x-amzn-stream-arn"},
                "FragmentTimecodeType": {
                    "shape": "FragmentTimecodeType",
                    "location": "header",
                    "locationName": "x-amzn-fragment-timecode-type",
                },
                "ProducerStartTimestamp": {
                    "shape": "Timestamp",
                    "location": "header",
                    "locationName": "x-amzn-producer-start-timestamp",
                },
                "Payload": {"shape": "Payload"},
            },
            "payload": "Payload",
        },
        "PutMediaOutput": {
            "type": "structure",
            "members": {"Payload": {"shape": "Payload"}},
            "payload": "Payload",
        },
        "StreamName": _text("[a-zA-Z0-9_.-]+", 256),
        "ResourceARN": _text(r"arn:[a-z\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:[a-z]+/[a-zA-Z0-9_.-]+/[0-9]+", 1024),
        "FragmentTimecodeType": {"type": "string", "enum": ["ABSOLUTE", "RELATIVE"]},
        "Timestamp": {"type": "timestamp", "timestampFormat": "unixTimestamp"},
        "Payload": {"type": "blob", "streaming": True},
        "ErrorMessage": {"type": "string"},
        **{name: _error(status) for name, status in _ERRORS.items()},
    },
}
