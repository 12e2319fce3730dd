"""The transform AWS::Serverless-2016-10-31, as a program: the translator is AWS's own, and too heavy for the server's process.

Reads one JSON object on standard input ({"template", "parameters", "policies", "region"}) and writes one on standard output:
{"template": …}, or {"errors": [text]} when the template is at fault.
"""

import json
import logging
import os
import sys
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform


class _Policies:
    """AWS's managed policies by name, in place of a call to IAM."""

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known

    def load(self) -> dict[str, str]:
        return self._known


def translate(request: dict[str, Any]) -> dict[str, Any]:
    """Translate one template."""
    os.environ["AWS_DEFAULT_REGION"] = request["region"]
    try:
        return {"template": transform(request["template"], request["parameters"], _Policies(request["policies"]))}
    except InvalidDocumentException as error:
        return {"errors": [str(cause.message) for cause in error.causes] or [str(error.message)]}


def main() -> None:
    """Answer the request on standard input. What the translator prints goes to standard error."""
    answer, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.WARNING)
    json.dump(translate(json.load(sys.stdin)), answer)


if __name__ == "__main__":
    main()
