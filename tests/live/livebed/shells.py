"""Real interactive shells in a terminal of tmux, at which keys are pressed."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from types import TracebackType

from servers.required import skip_or_fail

COMPLETIONS = Path(__file__).resolve().parents[3] / "completions"
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
COLUMNS, ROWS = "200", "50"
LIMIT_SECONDS = 30
PROMPT = "ready>"

_BASH = f"PS1='{PROMPT} '; bind 'set bell-style none'; . {COMPLETIONS}/vmsnap.bash\n"
_ZSH = f"""PS1='{PROMPT} '; unsetopt beep list_beep; fpath=({COMPLETIONS} $fpath)
autoload -Uz compinit; compinit -u -D\n"""
_FISH = f"""function fish_prompt; printf '{PROMPT} '; end
set -g fish_greeting; set -g fish_autosuggestion_enabled 0; source {COMPLETIONS}/vmsnap.fish\n"""
START_FILES = {
    "bash": (".bashrc", _BASH),
    "bash with bash-completion": (".bashrc", f". {BASH_COMPLETION}\n{_BASH}"),
    "zsh": (".zshrc", _ZSH),
    "fish": (".config/fish/config.fish", _FISH),
}
_COMMANDS = {"bash": "bash -i", "zsh": "zsh -d -i", "fish": "fish -i"}


class Shell:
    """One shell of START_FILES, in a folder of its own; a context manager."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        program, *_ = name.split()
        if shutil.which(program) is None or shutil.which("tmux") is None:
            skip_or_fail(f"needs {program} and tmux")
        file, text = START_FILES[name]
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
        own = {"HOME": str(folder), "ZDOTDIR": str(folder), "XDG_CONFIG_HOME": f"{folder}/.config"}
        self._environment = {**os.environ, **own, "TERM": "screen", **environment}
        self._folder = folder
        self._numbers = count(1)
        self._command = _COMMANDS[program]

    def __enter__(self) -> "Shell":
        size = ("-x", COLUMNS, "-y", ROWS, "-c", str(self._folder))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, self._command)
        self._wait_for(PROMPT)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tmux("kill-server")

    def complete(self, typed: str) -> str:
        """Type the beginning of a line, press TAB, and return what the line is then."""
        # Typed behind it: once it is shown, the shell is done with what came before.
        mark = f"@{next(self._numbers)}@"
        self._type(typed, "Tab", ";", "send-keys", "-l", mark)
        return self._wait_for(mark).rpartition(f"{PROMPT} ")[2].partition(mark)[0]

    def list_of(self, typed: str, *, until_shown: str) -> str:
        """Type a line of which many fit, have them listed; return what is shown once a text is."""
        # Bash wants to be asked twice; for others the second time is a choice from the list.
        self._type(typed, *(("Tab", "Tab") if self._command.startswith("bash") else ("Tab",)))
        return self._wait_for(until_shown)

    def _type(self, typed: str, *keys: str) -> None:
        """Type a text on an empty line and an empty screen, then press keys."""
        emptied = ("send-keys", "C-u", "C-l", ";")
        self._tmux(*emptied, "send-keys", "-l", typed, ";", "send-keys", *keys)

    def _wait_for(self, text: str) -> str:
        until = time.monotonic() + LIMIT_SECONDS
        while text not in (shown := self._tmux("capture-pane", "-p", "-J")):
            assert time.monotonic() < until, shown
            time.sleep(0.02)
        return shown

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-u", "-S", str(self._folder / "tmux"), *words]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            env=self._environment,
            check=True,
        )
        return done.stdout
