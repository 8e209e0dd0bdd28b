"""How long a chain of images each version of libvirt can start."""

# json-c of libvirt 10.8 to 11.10 refuses the block nodes of a deeper chain.
SHALLOW_VERSIONS = range(10_008_000, 12_000_000)
SHALLOW_DEPTH = 24
USUAL_DEPTH = 200


def deepest_chain(version: int) -> int:
    """Return how many layers a disk may have; `version` is libvirt's own number for itself."""
    return SHALLOW_DEPTH if version in SHALLOW_VERSIONS else USUAL_DEPTH
