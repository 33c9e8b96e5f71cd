"""The failures a person meets, each with what to do next.

Bad *data* is not an error: it is a counted value with a reason. A bug is a
traceback. What stands here is the rest: a wrong input, a wrong configuration, a
run that cannot go on.
"""

from __future__ import annotations


class RulewrightError(Exception):
    """A run that failed for a reason a person can act on.

    Args:
        message: what happened, where (`file:line`, record id), expected and got.
        hint: the next step, as an instruction; empty where there is none.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(RulewrightError):
    """A command line, path or option that cannot mean what was meant."""

    exit_code = 2


class ConfigError(UsageError, ValueError):
    """One or more mistakes in a configuration; the message lists them all."""


class MissingDependency(UsageError, ImportError):
    """An optional package is absent; the hint is the line that installs it."""

    def __init__(self, package: str, needed_for: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed, and {needed_for} needs it",
            f"pip install 'rulewright[{extra}]'",
        )


def first_line(error: BaseException) -> str:
    r"""What an error of a library says, on one line; its class where it says nothing.

    >>> first_line(OSError("no space left\nat byte 7")), first_line(KeyboardInterrupt())
    ('no space left', 'KeyboardInterrupt')
    """
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def why(error: Exception) -> str:
    """Why something could not be read or written, without the numbers of the system.

    >>> why(FileNotFoundError(2, "No such file or directory", "a.py"))
    'No such file or directory'
    """
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text, at byte {error.start}"
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
