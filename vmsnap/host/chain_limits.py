"""How long a chain of images each version of libvirt can start.

The one place that asks for a version number: libvirt announces this limit nowhere, neither in its
capabilities nor in those of its domains, and takes a chain that is too deep for itself in a
definition without a word. Only the start fails then ("nesting too deep"), when the guest's disks
have grown for weeks; to try a start beforehand would run the machine.
"""

# json-c of libvirt 10.8 to 11.10 refuses the block nodes of a deeper chain. 11.3 starts 25 layers
# and no more: one is a reserve.
SHALLOW_VERSIONS = range(10_008_000, 12_000_000)
SHALLOW_DEPTH = 24
USUAL_DEPTH = 200


def deepest_chain(version: int) -> int:
    """Return how many layers a disk may have; `version` is libvirt's own number for itself."""
    return SHALLOW_DEPTH if version in SHALLOW_VERSIONS else USUAL_DEPTH
