"""The names of the files in a folder of another tool."""

from pathlib import Path

from ddcore.errors import DDCoreError, require


def files_of(path: Path) -> frozenset[str]:
    """Return the names of what lies in a folder, without hidden ones; empty if it is no folder.

    Raises:
        DDCoreError: the folder cannot be read.
    """
    try:
        return frozenset(each.name for each in path.iterdir() if each.name[0] != ".") if path.is_dir() else frozenset()
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read: {error.strerror}") from error


def check_alone(path: Path, names: tuple[str, ...]) -> None:
    """Refuse a folder that does not hold exactly these files.

    Raises:
        DDCoreError: a file is missing, or another one is there.
    """
    there, needed = files_of(path), " and ".join(names)
    missing = [name for name in names if name not in there]
    others = ", ".join(sorted(there - set(names)))[:200]
    require(not missing, f"{path} must hold {needed}; {' and '.join(missing)} is missing", DDCoreError)
    require(not others, f"{path} must hold {needed} alone; it has {others}, too", DDCoreError)
