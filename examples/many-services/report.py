"""A report: a function as a serverless platform calls it, with nothing that runs between calls.

It asks the issuer for what is new in passing: here at each call, because `max_lag` is zero.
"""

import os
from datetime import timedelta
from typing import Any

from sojourn import Incoming, Issuer, Need, SojournError, Verifier

verifier = Verifier(
    audience="shop",
    issuers=[Issuer.sojourn(os.environ["ISSUER"], feed_token=os.environ["FEED_TOKEN"])],
    is_following=False,
)
ALWAYS_ASK = Need.of(max_lag=timedelta(0))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one call, as an API gateway makes it."""
    incoming = Incoming(authorization=event["headers"].get("authorization", ""))
    try:
        principal = verifier.check(incoming, need=ALWAYS_ASK).require(ALWAYS_ASK)
    except SojournError as error:
        return {"statusCode": error.status, "body": error.code}
    return {"statusCode": 200, "body": f"a report for {principal.subject}"}
