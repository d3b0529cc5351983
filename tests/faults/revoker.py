"""A process that revokes what it is told to, on a line of its own connections to the store.

Usage: revoker.py STORE (secret in SOJOURN_SECRET). Each line of its input is a JSON list of sids; it
answers a line when all of them are revoked and acknowledged.
"""

import json
import sys

from faults.verifying import SETTINGS

from sojourn import ANY, Sojourn

with Sojourn(sys.argv[1], **SETTINGS) as auth:
    print("ready", flush=True)
    for line in sys.stdin:
        for sid in json.loads(line):
            auth.revoke(sid, subject=ANY)
        print("revoked", flush=True)
