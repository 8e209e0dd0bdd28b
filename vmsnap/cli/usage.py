"""What Typer says of a command line that it does not understand, in vmsnap's own words."""

import re

import typer

from vmsnap.errors import UsageError

# Typer below 0.26 uses Click, later ones carry a copy of it: both derive BadParameter from
# UsageError and that from ClickException.
CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]

_WORDS = (
    (r"^No such command ", "there is no verb "),
    (r"^No such option:? '?(-[^\s']*)'?", r"there is no option '\1'"),
    (r"^Missing (argument|option) '?([^']*)'?", r"\1 '\2' is missing"),
    (r"^Invalid value for ", "wrong value for "),
    (r"^Got unexpected extra argument(?:\(s\)|s)? \((.*)\)$", r"too many arguments: '\1'"),
    (r"^Option ", "option "),
    (r"is not a valid float( range)?$", "is not a number"),
    (r"\.? \(?(?:Did you mean|Possible options:) (.*?)\??\)?$", r"; perhaps \1 is meant"),
)


def is_missing_verb(error: BaseException) -> bool:
    """Tell whether a verb group was named and no verb; the error's text is the group's help."""
    return type(error).__name__ == "NoArgsIsHelpError"


def usage_error(error: BaseException, verb: str) -> UsageError:
    """Translate a usage error of Typer; `verb` is as far as the command line was understood."""
    hint = " ".join(("vmsnap", *verb.split(), "--help"))
    if is_missing_verb(error):
        return UsageError("a verb is missing", hint=hint)
    format_message = getattr(error, "format_message", lambda: str(error))
    message = " ".join(str(format_message()).split()).rstrip(".")
    for theirs, ours in _WORDS:
        message = re.sub(theirs, ours, message)
    return UsageError(message, hint=hint)
