"""What the account may use."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.lambda_ import limits


@operation(read_only=True)
def get_account_settings(ctx: Context) -> dict[str, Any]:
    """What functions may use. Differs from AWS: the concurrency is this server's, shared by all accounts."""
    concurrency = ctx.settings.lambda_concurrency
    return {
        "AccountLimit": {
            "TotalCodeSize": limits.CODE_TOTAL_BYTES_MAX,
            "CodeSizeUnzipped": limits.CODE_UNZIPPED_BYTES_MAX,
            "CodeSizeZipped": limits.CODE_ZIPPED_BYTES_MAX,
            "ConcurrentExecutions": concurrency,
            "UnreservedConcurrentExecutions": concurrency,
        },
        "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": 0},
    }
