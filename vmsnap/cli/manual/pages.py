"""Every file that is written from the app: completions/ and man/."""

from vmsnap import __version__
from vmsnap.cli.manual.bash import bash_completion
from vmsnap.cli.manual.commands import program
from vmsnap.cli.manual.fish import fish_completion
from vmsnap.cli.manual.man_pages import SETTINGS_PAGE, man_pages
from vmsnap.cli.manual.settings_page import settings_page
from vmsnap.cli.manual.zsh import zsh_completion


def pages() -> dict[str, str]:
    """Return what is written, by its path below the root of the repository."""
    whole = program()
    manual = {
        **man_pages(whole, __version__),
        f"{SETTINGS_PAGE}.5": settings_page(__version__),
    }
    return {
        "completions/vmsnap.bash": bash_completion(whole),
        "completions/_vmsnap": zsh_completion(whole),
        "completions/vmsnap.fish": fish_completion(whole),
        **{f"man/{name}": text for name, text in manual.items()},
    }
