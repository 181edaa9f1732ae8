from pathlib import Path

import pytest

from ddcore.report.site import METHODS, REFERENCE, SECTIONS, navigation, write_site

ROOT = Path(__file__).parents[2]


def test_every_page_is_in_the_index_and_a_new_one_is_a_method_s():
    names = [path.stem for path in (ROOT / "docs").glob("*.md")]
    entries = {title: pages for each in navigation([*names, "newest"]) for title, pages in each.items()}
    listed = [page for pages in entries.values() if isinstance(pages, list) for page in pages if isinstance(page, str)]
    assert sorted(listed) == sorted(f"docs/{name}.md" for name in [*names, "newest"])
    assert entries[METHODS][-1] == "docs/newest.md" and list(entries)[:3] == ["ddcore", "Guide", METHODS]


def test_every_page_of_a_section_is_there():
    assert all((ROOT / "docs" / f"{name}.md").is_file() for pages in SECTIONS.values() for name in pages)


def test_pages_pictures_and_a_reference_are_laid_out(tmp_path):
    config = write_site(ROOT, tmp_path)
    pages = tmp_path / "pages"
    assert "](docs/results.md)" in (pages / "index.md").read_text() and "nav = []" not in config.read_text()
    assert (pages / "results" / "fashion_mnist-600" / "grid.png").is_file()
    assert {path.stem for path in (pages / "reference").iterdir()} == {*REFERENCE}
    assert '"meta_gradient"' in (pages / "reference" / "ddcore.unroll.md").read_text()
    assert (tmp_path / "packages" / "ddcore" / "kernels" / "__init__.py").is_file()
    assert not list(pages.rglob("*.safetensors"))


@pytest.mark.parametrize("name", REFERENCE)
def test_a_package_of_the_reference_says_what_it_is(name):
    from importlib import import_module

    assert import_module(name).__doc__
