"""The errors that a user can cause or meet; every other exception is a bug in ddcore."""


class DDCoreError(Exception):
    """Something outside ddcore is wrong (a file, a disk, a diverging run): one line that says what to do.

    Scripts print the line and exit with code 1; ``--debug`` shows the traceback.
    """

    exit_code = 1


class UsageError(DDCoreError):
    """An option or a combination of options makes no sense. Scripts exit with code 2."""

    exit_code = 2


def require(condition: bool, line: str, error: type[DDCoreError] = UsageError) -> None:
    """Raise an error with this line unless the condition holds. The line is written out in either case."""
    if not condition:
        raise error(line)


def known(kind: str, name: str, names: "list[str] | tuple[str, ...] | dict[str, object]") -> str:
    """Return `name` if it is one of `names`.

    Raises:
        UsageError: it isn't; the line lists the known ones.
    """
    if name not in names:
        raise UsageError(f"unknown {kind} '{name}'; known: {', '.join(sorted(names))}")
    return name
