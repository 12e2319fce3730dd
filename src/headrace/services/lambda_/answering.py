"""Answers that do not wait for what extensions do after them."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from headrace.services.lambda_.engine.function import Outcome

log = logging.getLogger(__name__)


def first(run: Callable[[Callable[[Outcome], None]], Outcome]) -> Outcome:
    """Run on a thread of its own; what it is handed first, or what it gives back when that is earlier. Its errors are raised."""
    found: Future[Outcome] = Future()

    def work() -> None:
        try:
            outcome = run(found.set_result)
            if not found.done():
                found.set_result(outcome)
        except BaseException as error:
            if not found.done():
                found.set_exception(error)
            else:
                log.debug("an invocation failed after it was answered", exc_info=True)

    threading.Thread(target=work, name="lambda-answering", daemon=True).start()
    return found.result()
