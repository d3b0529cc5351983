"""For Python clients of a Sojourn server: tokens that are carried, renewed and kept.

`sojourn.client.httpx2`, `sojourn.client.httpx` and `sojourn.client.requests` carry a `SignIn`; each
needs its library, nothing else does.
"""

from sojourn.client.sending import Answer, Send, Urllib
from sojourn.client.sign_in import SignIn
from sojourn.client.storage import InMemory, TokenFile, TokenStorage
from sojourn.client.tokens import Tokens

__all__ = ["Answer", "InMemory", "Send", "SignIn", "TokenFile", "TokenStorage", "Tokens", "Urllib"]
