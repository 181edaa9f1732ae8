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


def test_scores_of_an_earlier_set_are_not_called_unreadable(tmp_path, capsys):
    score = {"mean": 0.5, "std": 0.0, "n": 1, "values": [0.5]}
    protocol = {"dataset": "toy", "set": {"members": 4, "path": "runs/small"}, "test_members": 10, "seeds": [0]}
    content = {"protocol": protocol, "nets": {"default": {"net": "mlp", "accuracy": score, "seconds": 1.0}}}
    for name in ("small", "scores"):
        (tmp_path / name).mkdir()
    (tmp_path / "small/set.json").write_text("{}")
    (tmp_path / "scores/config.json").write_text(json.dumps({"inputs": {"set": "another"}}))
    (tmp_path / "scores/scores.json").write_text(json.dumps(content))
    entry = {"name": "toy", "dataset": "toy", "scores": "scores/scores.json"}
    (tmp_path / "job.json").write_text(json.dumps({"results": [entry], "stages": []}))
    assert make_report.main([str(tmp_path)]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "leaves out 1 of its sources: " in line
    assert "has the scores of an earlier set" in line
    page = (tmp_path / "report/report.md").read_text()
    assert not any(word in line + page for word in ("unreadable", "could not be read"))
