"""Sojourn in AWS Lambda: an authorizer for API Gateway, and requests as a function gets them.

    verifier = Verifier(audience="billing", issuers=[Issuer.sojourn(URL)], is_following=False)
    handler = authorizer(verifier, need=Need.of(roles={"staff"}))

Nothing runs between two calls: a verifier polls in passing, a `Sojourn` asks its store where its
picture has grown old in the freezer.
"""

from sojourn.awslambda.authorizer import Unauthorized, authorizer
from sojourn.awslambda.events import incoming_of_event

__all__ = ["Unauthorized", "authorizer", "incoming_of_event"]
