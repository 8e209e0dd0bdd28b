"""What is written from the app; that it is committed as it is, test_linters.py says."""

import shutil
import subprocess
import sys

import pytest
from servers.required import skip_or_fail

from vmsnap.cli.manual.commands import program
from vmsnap.cli.manual.pages import pages

VERBS = [command for command in program().walk() if command.words and not command.commands]


def test_writing_removes_the_pages_of_verbs_that_are_no_more(tmp_path):
    (tmp_path / "man").mkdir()
    (tmp_path / "man" / "vmsnap-gone.1").write_text("old")
    command = [sys.executable, "-m", "vmsnap.cli.manual", str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.glob("*/*")}
    assert found == pages()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.path)
def test_every_verb_has_a_page_with_an_example_of_it(verb):
    page = pages()[f"man/vmsnap-{'-'.join(verb.words)}.1"]
    _, _, examples = page.partition('.SH "EXAMPLES"')
    assert f"vmsnap {verb.path}".replace("-", "\\-") in examples


@pytest.mark.parametrize(
    ("shell", "name"), [("bash", "vmsnap.bash"), ("zsh", "_vmsnap"), ("fish", "vmsnap.fish")]
)
def test_a_shell_can_read_its_completion(shell, name, tmp_path):
    if shutil.which(shell) is None:
        skip_or_fail(f"needs {shell}")
    file = tmp_path / name
    file.write_text(pages()[f"completions/{name}"])
    done = subprocess.run([shell, "-n", str(file)], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
