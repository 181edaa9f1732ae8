"""The table of formats."""

from importlib import import_module
from pathlib import Path

from ddcore.errors import UsageError
from ddcore.sets.formats.contract import Format

# One line per format: a module of this package, which holds its row as `FORMAT`. Of several that recognise a path, the
# first one counts.
MODULES = (
    "dc",
    "mtt",
    "datm",
    "idc",
    "kip",
    "rat_bptt",
    "hugging_face",
    "jsonl",
    "png",
)
FORMATS: dict[str, Format] = {
    row.name: row for row in (import_module(f"ddcore.sets.formats.{module}").FORMAT for module in MODULES)
}
IMPORTED = tuple(name for name, row in FORMATS.items() if row.read is not None)
EXPORTED = tuple(name for name, row in FORMATS.items() if row.write is not None)


def guessed(path: Path) -> Format:
    """Return the format whose file names a path has.

    Raises:
        UsageError: there is nothing, or no format is recognised.
    """
    if not path.exists():
        raise UsageError(f"{path} is missing")
    for name in IMPORTED:
        if FORMATS[name].recognises(path):
            return FORMATS[name]
    raise UsageError(f"the format of {path} is not clear from its name: give --format, one of {', '.join(IMPORTED)}")
