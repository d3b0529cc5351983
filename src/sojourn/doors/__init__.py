"""Doors in from what people use today: their old cookies, tokens and password hashes go on working.

A door is made of the old library's own settings and given to the engine as ``doors=[…]``. Each
module needs the library it is for: `django`, `flask`, `starlette`, `express` (with ``redis``),
`tokens` and `token_cookie` (nothing), `passwords` (``sojourn[passwords]``).
"""
