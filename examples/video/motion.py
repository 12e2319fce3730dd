"""Motion detection: for every fragment of a camera, how much of the picture moves, second by second, as records of a Kinesis stream.

A fragment's event says which fragment there is; its bytes are asked for. Frames are decoded by PyAV and compared by numpy.
"""

import io
import json
import os

import av
import boto3
import numpy as np

# A point has moved when its brightness changed by so much of 255, and there is motion when so many points of a hundred have.
CHANGED = 25
MOTION_PERCENT = float(os.environ.get("MOTION_PERCENT", "0.5"))
FRAMES_PER_SECOND = 5

media = boto3.client("kinesis-video-archived-media")
kinesis = boto3.client("kinesis")


def handler(event, context):
    """Look at each fragment, and write what moved."""
    findings = []
    for record in event["Records"]:
        fragment = record["kinesisvideo"]
        data = media.get_media_for_fragment_list(**fragment["media"])["Payload"].read()
        for seconds, percent in motion(data):
            findings.append(
                {
                    "stream": fragment["streamName"],
                    "fragment": fragment["fragmentNumber"],
                    "at": round(fragment["producerTimestamp"] + seconds, 3),
                    "moving_percent": round(percent, 2),
                }
            )
    for start in range(0, len(findings), 500):
        records = [{"Data": json.dumps(one), "PartitionKey": one["stream"]} for one in findings[start : start + 500]]
        kinesis.put_records(StreamName=os.environ["FINDINGS"], Records=records)
    return {"findings": len(findings)}


def motion(data):
    """(seconds into the fragment, moving points of a hundred) of each second in which something moves."""
    most = {}
    with av.open(io.BytesIO(data)) as container:
        before, first, due = None, None, 0.0
        for frame in container.decode(video=0):
            first = frame.time if first is None else first
            at = frame.time - first
            if at < due:
                continue
            due = at + 1 / FRAMES_PER_SECOND
            now = frame.to_ndarray(format="gray").astype(np.int16)
            if before is not None:
                percent = 100 * np.mean(np.abs(now - before) > CHANGED)
                most[int(at)] = max(percent, most.get(int(at), 0.0))
            before = now
    return [(second, float(percent)) for second, percent in sorted(most.items()) if percent >= MOTION_PERCENT]
