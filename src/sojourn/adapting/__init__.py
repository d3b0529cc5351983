"""What the adapters of all frameworks share: the state of one request, and what it may do.

An adapter reduces its framework's request to an `Incoming`, keeps a `RequestState` beside it, and
applies `RequestState.outgoing` to whatever response comes of it. The acts are coroutines: adapters
of asyncio frameworks await them, those of blocking ones run them with `Sojourn.run`.
"""

from sojourn.adapting.environ import incoming_of_environ
from sojourn.adapting.headers import as_personal, with_outgoing
from sojourn.adapting.problems import Failed, told
from sojourn.adapting.state import NOBODY, RequestState

__all__ = [
    "NOBODY",
    "Failed",
    "RequestState",
    "as_personal",
    "incoming_of_environ",
    "told",
    "with_outgoing",
]
