import json

import make_report


def test_command_line_says_what_is_wrong_in_one_line(tmp_path, capsys):
    assert make_report.main([str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "job.json").write_text("{")
    assert make_report.main([str(tmp_path)]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "job.json is damaged" in line


def test_command_line_writes_the_report_and_names_it(tmp_path, capsys):
    (tmp_path / "job.json").write_text(json.dumps({"results": [], "stages": []}))
    assert make_report.main([str(tmp_path)]) == 0
    assert str(tmp_path / "report/report.html") in capsys.readouterr().out
    assert (tmp_path / "report/records.json").exists() and (tmp_path / "report/report.md").exists()
    assert make_report.main([str(tmp_path / "report")]) == 0
