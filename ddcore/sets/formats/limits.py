"""How large what a file of another tool holds may be; checked before memory is taken."""

import zipfile
from pathlib import Path

from ddcore.errors import DDCoreError, require
from ddcore.runtime import in_words

MOST_BYTES = 4 * 2**30
"""Of a file, of all that is packed in it, and of every tensor."""


def check_size(path: Path) -> None:
    """Refuse a path that is no file, or a file or archive that is too large.

    Raises:
        DDCoreError: it is; or its name is not there, or it cannot be read.
    """
    try:
        require(path.is_file(), f"{path} is {'not a file' if path.exists() else 'missing'}", DDCoreError)
        with open(path, "rb") as file:
            packed = file.read(4) == b"PK\x03\x04"
        check_bytes(path.stat().st_size, str(path))
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read: {error.strerror}") from error
    if packed:
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(each.file_size for each in archive.infolist())
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
            raise DDCoreError(f"{path} is truncated or damaged: download it again") from error
        check_bytes(size, f"the unpacked content of {path}")


def check_bytes(size: int, what: str) -> None:
    """Refuse more than `MOST_BYTES`.

    Raises:
        DDCoreError: the line begins with `what`.
    """
    require(size <= MOST_BYTES, f"{what} is {in_words(size)}, more than {in_words(MOST_BYTES)}", DDCoreError)
