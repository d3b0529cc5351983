"""Writing JSON strictly."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from sojourn.errors import InvalidInput
from sojourn.plain_json import encode_json

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
)


@given(plain)
def test_what_is_written_reads_back_as_itself(value):
    """Nothing is bent on the way."""
    assert value == json.loads(encode_json(value, "it"))


def test_keys_stand_in_order():
    """Two dictionaries that are equal are written the same way."""
    assert b'{"a":{"c":2,"d":1},"b":[]}' == encode_json({"b": [], "a": {"d": 1, "c": 2}}, "it")


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        [-math.inf],
        {"a": math.nan},
        {1: "number"},
        [{"a": ({None: 1},)}],
        {"a": {1, 2}},
        datetime.now(UTC),
        b"bytes",
        object(),
        "\ud800",
        {"\udfff": 1},
        nested(100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_refused(value):
    """NaN, other types, keys that are not text, lone surrogates, endless nesting: one error."""
    with pytest.raises(InvalidInput, match="the basket holds a value that is not JSON"):
        encode_json(value, "the basket")
