import pytest

from sojourn.errors import UnsupportedInMode
from sojourn.model import Purpose
from sojourn.modes import DAY, HOUR, MODES, require_stored

TABLE = {
    # mode: handle, access token, stored, refreshed, absolute, idle
    "session": (Purpose.SESSION, False, True, False, 30 * DAY, 14 * DAY),
    "jwt": (None, True, False, False, 12 * HOUR, None),
    "hybrid": (Purpose.REFRESH, True, True, True, 30 * DAY, 14 * DAY),
}


def test_the_table_of_the_design():
    """Every cell in which the modes differ is the design's."""
    assert {
        mode: (
            rules.handle,
            rules.has_access_token,
            rules.is_stored,
            rules.is_refreshed,
            rules.absolute_ttl_seconds,
            rules.idle_ttl_seconds,
        )
        for mode, rules in MODES.items()
    } == TABLE


@pytest.mark.parametrize("mode", ["session", "hybrid"])
def test_a_stored_mode_answers(mode):
    """What needs a stored session is there in `session` and `hybrid`."""
    require_stored(mode, "listing sessions")


def test_jwt_says_what_it_cannot_and_what_to_do():
    """In `jwt` it is refused, naming the request, the mode and the remedy."""
    with pytest.raises(UnsupportedInMode) as caught:
        require_stored("jwt", "listing sessions")
    assert str(caught.value) == (
        "listing sessions needs a stored session, and mode 'jwt' stores none; "
        "use mode 'session' or 'hybrid'"
    )
    assert (caught.value.code, caught.value.status) == ("unsupported_in_mode", 409)
