"""A plain function in a process of its own, as a serverless platform runs it: one check, then the end.

Usage: one_call.py STORE CREDENTIAL (secret in SOJOURN_SECRET). Prints "ready" when it is about to ask, then
the refusal's code, or "good". Nothing is closed: the process just ends.
"""

import sys

from faults.verifying import SETTINGS

from sojourn import Incoming, Sojourn


def handler(store: str, credential: str) -> str:
    """Answer one event."""
    auth = Sojourn(store, **SETTINGS)
    checked = auth.check(Incoming(authorization=f"Bearer {credential}"))
    return checked.refusal.code if checked.refusal else "good"


print("ready", flush=True)
print(handler(*sys.argv[1:]))
