"""The selectors that others can start from, by name."""

from typing import Any

from ddcore.errors import UsageError, known


def starting_selector(name: str, asking: str) -> Any:
    """Return the selector of this name with its default options.

    Args:
        name: in the table of selectors.
        asking: the one that wants to start from it, which is left out.

    Raises:
        UsageError: there is no other selector of this name.
    """
    # The table imports every selector, so that it can be read only once they are there.
    from ddcore.selection.registry import SELECTORS

    others = {other: selector for other, selector in SELECTORS.items() if other != asking}
    return others[known("starting ranking", name, list(others))]()


def require_teacher(selector: Any, name: str, teacher: object | None) -> None:
    """Refuse a start that cannot do without a teacher.

    Raises:
        UsageError: it needs one and there is none.
    """
    if selector.needs_teacher and teacher is None:
        raise UsageError(f"--start {name} needs --teacher RUN_DIR")
