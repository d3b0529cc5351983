"""The one async engine: a file per verb, each a plain coroutine over a shared `Core`.

`login`, `check`, `refresh`, `revoke`, `reauthenticate`, `exchange`, `data`. Both faces
(`sojourn.aio`, `sojourn.sync`) run the same coroutines.
"""
