"""How a command that speaks to the server ends, and what it says when that fails."""

import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError


def told(action: Callable[[], int]) -> int:
    """Run the action: its exit status; 1, and why, when the server refuses or does not answer; 0 when its reader went away."""
    try:
        return action()
    except BrokenPipeError:
        # Whoever read has seen enough, and there is nobody to tell it to.
        sys.stderr.close()
        return 0
    except ClientError as error:
        print(f"headrace: {error.response['Error']['Message']}", file=sys.stderr)
    except (BotoCoreError, OSError) as error:
        print(f"headrace: {error}", file=sys.stderr)
    return 1
