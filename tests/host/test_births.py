"""Processes are told from later ones that got their number."""

import os
import subprocess
import sys

from vmsnap.host.births import birth_of


def test_a_process_has_one_birth_for_its_life():
    assert birth_of(os.getpid())
    assert birth_of(os.getpid()) == birth_of(os.getpid())
    assert birth_of(os.getpid()) != birth_of(1)


def test_one_that_has_ended_has_none_though_nobody_has_waited_for_it():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert birth_of(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert birth_of(process.pid) == ""
    assert birth_of(process.pid) == ""
