"""The pages of a site: the README, ``docs/``, the reports in ``results/``, and a reference made from docstrings."""

import json
import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ddcore.report.pages import file_text

SECTIONS: dict[str, tuple[str, ...]] = {
    "Guide": ("install", "own_data", "hugging_face", "data", "texts", "report"),
    "Protocol": ("validation", "protocols", "labels", "published", "compare", "results"),
    "Operation": ("resume", "processes", "container", "kernels", "gpu", "scale"),
    "Formats and security": ("formats", "SECURITY", "changelog"),
}
"""Pages of ``docs/`` by section; all others are about methods."""
METHODS = "Methods"
REFERENCE = (
    *("ddcore", "ddcore.data", "ddcore.kernels", "ddcore.methods", "ddcore.nets", "ddcore.selection", "ddcore.sets"),
    *("ddcore.synthesis", "ddcore.training", "ddcore.unroll"),
)
"""Packages whose faces people may import from."""
KEPT = (".md", ".svg", ".png", ".csv", ".jsonl")
"""Of ``results/``, the files that pages show or link to."""


def write_site(repo: Path, folder: Path) -> Path:
    """Write the pages of a site, and the configuration that builds it, into an empty folder.

    Args:
        repo: of ddcore.
        folder: for the pages; the site is built into its folder ``site``.

    Returns:
        The configuration file.
    """
    pages = folder / "pages"
    for path in [repo / "README.md", *sorted((repo / "docs").glob("*.md")), *_results(repo)]:
        place = pages / (path.relative_to(repo) if path.name != "README.md" else Path("index.md"))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    _write(pages / "LICENSE.md", f"# Licence\n\n{file_text(repo / 'LICENSE')}")
    shutil.copyfile(repo / "CITATION.cff", pages / "CITATION.cff")
    shutil.copyfile(repo / ".github" / "CONTRIBUTING.md", pages / "CONTRIBUTING.md")
    text = file_text(pages / "index.md").replace("](LICENSE)", "](LICENSE.md)")
    _write(pages / "index.md", text.replace("](.github/CONTRIBUTING.md)", "](CONTRIBUTING.md)"))
    shutil.copyfile(repo / "docs" / "site.css", pages / "site.css")
    shutil.copyfile(repo / "docs" / "tour.ipynb", pages / "docs" / "tour.ipynb")
    (pages / "reference").mkdir()
    for name in REFERENCE:
        _write(pages / "reference" / f"{name}.md", _reference(name))
    names = [path.stem for path in sorted((repo / "docs").glob("*.md"))]
    _link_packages(repo, folder / "packages" / "ddcore")
    static = file_text(repo / "docs" / "zensical.toml")
    _write(folder / "zensical.toml", static.replace("nav = []", f"nav = {_toml(navigation(names))}"))
    return folder / "zensical.toml"


def navigation(names: Sequence[str]) -> list[dict[str, object]]:
    """Return the entries of the index, for pages of ``docs/`` by name: a title and its page or its pages."""
    placed = {name for each in SECTIONS.values() for name in each}
    sections = {"Guide": SECTIONS["Guide"], METHODS: tuple(name for name in names if name not in placed)}
    entries: list[dict[str, object]] = [{"ddcore": "index.md"}]
    for title, pages in {**sections, **SECTIONS}.items():
        entries.append({title: [f"docs/{name}.md" for name in pages if name in names]})
    entries.append({"Reference": [{name: f"reference/{name}.md"} for name in REFERENCE]})
    return entries


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def _reference(name: str) -> str:
    """Return the page of a package: all that it offers, or its docstring where it has no list of names."""
    offered = getattr(import_module(name), "__all__", [])
    members = f"      members: {json.dumps(sorted(offered))}\n" if offered else ""
    return f"# {name}\n\n::: {name}\n    options:\n{members}      show_root_heading: false\n"


def _link_packages(repo: Path, folder: Path) -> None:
    """Lay out the packages as a wheel does, with the kernels inside, for a reader that does not import them."""
    folder.mkdir(parents=True)
    for path in [*(repo / "ddcore").iterdir(), repo / "kernels"]:
        (folder / path.name).symlink_to(path)


def _results(repo: Path) -> list[Path]:
    """Return the committed files of ``results/`` that pages may show."""
    return [path for path in sorted((repo / "results").rglob("*")) if path.suffix in KEPT]


def _toml(value: object) -> str:
    """Return a value of TOML: texts, lists and tables with one entry."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
