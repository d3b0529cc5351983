"""What the verifier's tests share: clocks in the test's hand, a server that is a value, both faces."""

import pytest
from verifier.scripted import FACES, Authority, Clocks


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def authority(clocks):
    return Authority(clocks)


@pytest.fixture(params=list(FACES))
def face(request):
    return request.param
