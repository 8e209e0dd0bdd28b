"""What the manual page says of the keys and what the reader takes are the same."""

import tomllib

import pytest

from vmsnap.config import load_settings
from vmsnap.config.reference import DEFAULTS, HOOK, KEYS, OPERATIONS, TITLES, TOP, keys_of
from vmsnap.config.settings import VARIABLES

# Examples of [[hook]] need what every hook does.
NEEDED = 'when = "before"\nrun = ["/bin/true"]\n'


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.table} {key.name}")
def test_every_example_is_read_and_names_its_key(read, key):
    assert list(tomllib.loads(key.example)) == [key.name]
    needed = "".join(
        line for line in NEEDED.splitlines(True) if not line.startswith(f"{key.name} ")
    )
    read(f"{TITLES[key.table]}\n{needed if key.table == HOOK else ''}{key.example}\n")


def test_every_key_above_all_tables_has_a_variable_and_a_source():
    assert set(keys_of(TOP)) == set(VARIABLES) == set(load_settings({}, {}).sources)


def test_every_key_of_a_domain_has_a_source():
    assert set(keys_of(DEFAULTS)) == set(load_settings({}, {}).for_domain("web").sources)


def test_every_sentence_is_one_and_every_key_is_there_once():
    assert all(key.meaning.endswith(".") and key.meaning.count(".") >= 1 for key in KEYS)
    assert len({(key.table, key.name) for key in KEYS}) == len(KEYS)


def test_every_operation_can_be_typed_with_dry_run():
    import typer.main

    from vmsnap.cli.app import app

    def changing(command, words=()):
        for name, inner in getattr(command, "commands", {}).items():
            if hasattr(inner, "commands"):
                yield from changing(inner, (*words, name))
            elif any("--dry-run" in parameter.opts for parameter in inner.params):
                yield " ".join((*words, name))

    found = set(changing(typer.main.get_command(app)))
    assert set(OPERATIONS) <= found
    # They mend what is broken, and no hook may keep them from it.
    assert found - set(OPERATIONS) <= {
        *("recover", "doctor", "db rebuild", "db upgrade"),
        # It touches no domain.
        "install-units",
    }
