"""One changed place of ddcore, for tests/mutations.py."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Change:
    """One changed place.

    Attributes:
        file: path in the repository.
        old, new: text; for a chosen change `old` occurs once in the file.
        tests: what should see it, as arguments of pytest.
        place: of `old` in bytes, for a drawn change; -1 for a chosen one.
        function: that the place is in, for a drawn change.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    place: int = -1
    function: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.function}" if self.function else self.file
        return f"{place}  {' '.join(self.old.split())}  ->  {' '.join(self.new.split())}"

    def apply(self, root: Path) -> bytes:
        """Change the file in a copy of the repository and return its former content."""
        path = root / self.file
        before = path.read_bytes()
        old, new = self.old.encode(), self.new.encode()
        if self.place < 0 and before.count(old) != 1:
            raise SystemExit(f"{self.file} holds '{self.old}' {before.count(old)} times: mend the list of changes")
        place = before.index(old) if self.place < 0 else self.place
        path.write_bytes(before[:place] + new + before[place + len(old) :])
        return before


def change(file: str, old: str, new: str, *tests: str) -> Change:
    """Return a chosen change of a file below ``ddcore``."""
    return Change(f"ddcore/{file}", old, new, tests)
