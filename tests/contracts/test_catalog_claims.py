"""What the Catalog port promises about names that are replaced and domains that hosts share."""

import pytest

from vmsnap.errors import NameTakenError, OtherHostError
from vmsnap.model import CatalogChange, DomainId, HostId
from vmsnap.ports import Draft

OTHER_HOST = HostId("99999999-0000-0000-0000-000000000000")
OTHER_DOMAIN = DomainId("88888888-0000-0000-0000-000000000000")


def test_a_replacement_takes_over_the_name_in_the_transaction_that_removes_the_old(
    catalog, samples
):
    """H3, H7: replacing is one transaction."""
    old = samples.store_backup(catalog, "daily", data=b"old")
    new = samples.resource("daily", b"new")
    operation = samples.operation()
    draft = Draft(new, replaces=old.id)
    catalog.reserve(operation, (draft,), {samples.digest(b"new"): b"new"})
    assert catalog.resources() == (old,)
    catalog.commit(operation.id, CatalogChange(ready=(new.id,), removed_resources=(old.id,)))
    catalog.finish(operation.id)
    assert catalog.resources() == (new,)
    with pytest.raises(NameTakenError):
        samples.store_backup(catalog, "daily")


def test_a_replacement_that_fails_leaves_the_old(catalog, samples):
    """H3: the old copy stays if the new one cannot be committed."""
    old = samples.store_backup(catalog, "daily", data=b"old")
    new = samples.resource("daily", b"new")
    operation = samples.operation()
    draft = Draft(new, replaces=old.id)
    catalog.reserve(operation, (draft,), {samples.digest(b"new"): b"new"})
    with pytest.raises(NameTakenError):
        # The old one is not removed, so the name is not free.
        catalog.commit(operation.id, CatalogChange(ready=(new.id,)))
    catalog.discard(operation.id)
    assert catalog.resources() == (old,)
    assert catalog.content(samples.digest(b"old")) == b"old"


def test_a_draft_cannot_replace_what_has_another_name(catalog, samples):
    taken = samples.store_backup(catalog, "daily")
    other = samples.store_backup(catalog, "weekly")
    draft = Draft(samples.resource("daily"), replaces=other.id)
    with pytest.raises(NameTakenError):
        catalog.reserve(samples.operation(), (draft,), {samples.digest(b"nvram"): b"nvram"})
    assert catalog.resources() == (taken, other)


def test_another_host_s_pending_operation_on_the_domain_refuses(catalog, samples):
    """H61: two hosts never change one domain at the same time."""
    theirs = samples.operation(host_id=OTHER_HOST)
    catalog.reserve(theirs, (), {})
    with pytest.raises(OtherHostError, match=f"host '{OTHER_HOST}' has 'snapshot create' of 2026-"):
        catalog.reserve(samples.operation(), (), {})
    catalog.reserve(samples.operation(domain_id=OTHER_DOMAIN), (), {})
    assert catalog.claimant(theirs.domain_id) == OTHER_HOST
    catalog.finish(theirs.id)
    assert catalog.claimant(theirs.domain_id) is None
    catalog.reserve(samples.operation(), (), {})


def test_a_left_over_of_this_host_does_not_refuse_but_still_keeps_other_hosts_out(catalog, samples):
    first, second = samples.operation(), samples.operation()
    catalog.reserve(first, (), {})
    catalog.reserve(second, (), {})
    catalog.finish(first.id)
    with pytest.raises(OtherHostError):
        catalog.reserve(samples.operation(host_id=OTHER_HOST), (), {})
    catalog.discard(second.id)
    catalog.reserve(samples.operation(host_id=OTHER_HOST), (), {})
