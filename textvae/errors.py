"""What went wrong, where, what was received, and what to do next: the one way textvae reports trouble.

Only the command line prints or exits; everything under it raises one of these.
"""


class TextvaeError(Exception):
    """A state or an input that the user can mend.

    Args:
        message: What happened, where (file, row, setting), and the value received.
        hint: What to do next; empty where nothing useful can be said.

    Example:
        >>> raise TextvaeError("no such folder: posts", "give one with --corpus PATH")
        Traceback (most recent call last):
        textvae.errors.TextvaeError: no such folder: posts (give one with --corpus PATH)
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(TextvaeError):
    """A setting that does not exist, has the wrong type or an impossible value."""


class InputError(TextvaeError):
    """A corpus or a text that cannot be read or used."""


class StoreError(TextvaeError):
    """An artefact or a run that is missing, incomplete or damaged."""


class LockedError(StoreError):
    """Another process is writing this pipeline's store."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again later
