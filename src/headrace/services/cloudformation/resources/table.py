"""Every resource type by its name."""

from headrace.services.cloudformation.resources import (
    analytics,
    autoscaling,
    dynamodb,
    iam,
    kinesis,
    lambda_,
    lambda_layers,
    lambda_urls,
    messaging,
    others,
    s3,
    video,
)
from headrace.services.cloudformation.resources.kind import Kind

KINDS: dict[str, Kind] = {
    kind.type: kind
    for module in (
        dynamodb,
        kinesis,
        lambda_,
        lambda_layers,
        lambda_urls,
        iam,
        s3,
        messaging,
        others,
        video,
        analytics,
        autoscaling,
    )
    for kind in module.KINDS
}
