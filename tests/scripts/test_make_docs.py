from shutil import copytree

import make_docs

PUBLISHED = make_docs.ROOT / "results" / "published"


def test_the_pages_are_as_the_code_and_the_records_make_them(capsys):
    assert make_docs.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_page_is_rewritten_and_checked(tmp_path, capsys):
    page = tmp_path / "docs" / "a.md"
    page.parent.mkdir()
    page.write_text("<!-- options: dm -->\nold\n<!-- end -->\n")
    where = ["--docs", str(page.parent)]
    assert make_docs.main(["--check", *where]) == 1
    assert "not up to date: a.md" in capsys.readouterr().err and "old" in page.read_text()
    assert make_docs.main(where) == 0 and "| --moments |" in page.read_text()
    assert make_docs.main(["--check", *where]) == 0


def test_a_check_writes_no_picture(tmp_path):
    copytree(PUBLISHED, tmp_path / "results" / "published")
    picture = tmp_path / "results" / "published" / "published.svg"
    picture.unlink()
    page = tmp_path / "docs" / "a.md"
    page.parent.mkdir()
    page.write_text("<!-- published: results/published -->\n<!-- end -->\n")
    assert make_docs.main(["--check", "--docs", str(page.parent)]) == 1 and not picture.exists()
    assert make_docs.main(["--docs", str(page.parent)]) == 0 and picture.exists()
    picture.unlink()
    assert make_docs.main(["--check", "--docs", str(page.parent)]) == 0 and not picture.exists()


def test_the_readme_beside_them_is_a_page_too(tmp_path):
    (tmp_path / "docs").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text("<!-- options: dm -->\n<!-- end -->\n")
    assert make_docs.main(["--docs", str(tmp_path / "docs")]) == 0 and "| --moments |" in readme.read_text()


def test_a_page_about_nothing_is_one_line(tmp_path, capsys):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("<!-- options: nothing -->\n<!-- end -->\n")
    assert make_docs.main(["--docs", str(tmp_path / "docs")]) == 1
    assert "a.md: the page names 'nothing'" in capsys.readouterr().err
