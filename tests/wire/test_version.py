"""Two sides settle on the highest version that both speak, or say who has to be updated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import RemoteProtocolError
from wire.version import SPOKEN, VersionRange, negotiate
from wire.vocabulary import CloseCode, ErrorCode

pytestmark = pytest.mark.unit

versions = st.integers(0, 6)


@given(versions, versions, versions, versions)
def test_the_highest_common_version_is_spoken(our_min: int, our_more: int, their_min: int, their_max: int) -> None:
    ours, theirs = VersionRange(our_min, our_min + our_more), VersionRange(their_min, their_max)
    common = set(range(ours.min, ours.max + 1)) & set(range(their_min, their_max + 1))
    if common:
        assert negotiate(ours, theirs) == max(common)
    else:
        with pytest.raises(RemoteProtocolError) as caught:
            negotiate(ours, theirs)
        assert (caught.value.code, caught.value.close) == (ErrorCode.UNSUPPORTED_VERSION, CloseCode.UPGRADE)


def test_a_refusal_names_both_ranges() -> None:
    with pytest.raises(RemoteProtocolError, match="speaks versions 1 to 2, the other 3 to 4; update the older side"):
        negotiate(VersionRange(1, 2), VersionRange(3, 4))


def test_this_version_talks_to_itself() -> None:
    assert negotiate(SPOKEN, SPOKEN) == SPOKEN.max
