"""Signals; the sender is the application."""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

user_logged_in = _signals.signal("logged-in")
"""Somebody has signed in; comes with `user`."""
user_logged_out = _signals.signal("logged-out")
"""Somebody has signed out, here or everywhere; comes with `user`."""
user_login_confirmed = _signals.signal("login-confirmed")
"""Somebody has proved again who they are; comes with `user`."""
user_unauthorized = _signals.signal("unauthorized")
"""A request was refused for want of a sign-in; comes with `error`, which says why."""
user_needs_refresh = _signals.signal("needs-refresh")
"""A request was refused for want of a recent sign-in; comes with `error`."""
session_renewed = _signals.signal("session-renewed")
"""A refresh handle was rotated, in passing or by a call; comes with `signed_in`."""
