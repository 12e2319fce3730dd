"""For which stacks there is something to do.

cloudformation work     account region stack-id    since when
"""

from headrace.layers.records import Records

TOPIC = b"cloudformation.work"
WORK = Records(("cloudformation", "work"), float)
