"""Which versions of libvirt start only short chains."""

import pytest

from vmsnap.host.chain_limits import deepest_chain


@pytest.mark.parametrize(
    ("version", "depth"),
    [(9_000_000, 200), (10_007_999, 200), (10_008_000, 24), (11_010_000, 24), (12_000_000, 200)],
)
def test_only_some_versions_refuse_deep_chains(version, depth):
    """H32."""
    assert deepest_chain(version) == depth
