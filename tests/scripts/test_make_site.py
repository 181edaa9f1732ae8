import subprocess

import make_site


def test_a_folder_that_is_there_is_not_written_to(tmp_path, capsys):
    assert make_site.main(["--out", str(tmp_path)]) == 2
    assert "is there: remove it" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_missing_package_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(make_site, "find_spec", lambda name: None)
    assert make_site.main(["--out", str(tmp_path / "site")]) == 2
    assert "pip install 'ddcore[dev]'" in capsys.readouterr().err


def test_a_fault_of_a_page_is_shown(tmp_path, capsys, monkeypatch):
    def build(words, **_):
        return subprocess.CompletedProcess(words, 1, "index.md: no such page", "")

    monkeypatch.setattr(make_site.subprocess, "run", build)
    assert make_site.main(["--out", str(tmp_path / "site")]) == 1
    said = capsys.readouterr()
    assert "no such page" in said.out and said.err.startswith("error: the pages have faults")
