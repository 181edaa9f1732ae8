import csv

import compile_kernels
import pytest

from ddcore.kernels.builds import Resources, builds


def test_the_table_has_a_row_for_each_build(tmp_path, monkeypatch, capsys):
    few = list(builds())[:2]
    monkeypatch.setattr(compile_kernels, "builds", lambda: iter(few))
    monkeypatch.setattr(compile_kernels, "compiled", lambda b, t: Resources(b.kernel, b.case, f"sm_{t}", 40, 0, 0, 128))
    assert compile_kernels.main(["--out", str(tmp_path / "k.csv"), "--targets", "80", "90"]) == 0
    rows = list(csv.DictReader((tmp_path / "k.csv").open()))
    assert list(rows[0]) == ["kernel", "case", "target", "registers", "spill_bytes", "stack_bytes", "shared_bytes"]
    assert [row["target"] for row in rows] == ["sm_80", "sm_90"] * 2
    assert "none spills" in capsys.readouterr().out


def test_a_spill_is_named_and_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compile_kernels, "compiled", lambda b, t: Resources(b.kernel, b.case, f"sm_{t}", 255, 8, 0, 0))
    assert compile_kernels.main(["--out", str(tmp_path / "k.csv"), "--targets", "80"]) == 1
    assert "norm_act_pool.forward (32x32 pooled, sm_80)" in capsys.readouterr().err


def test_an_unknown_target_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        compile_kernels.main(["--out", str(tmp_path / "k.csv"), "--targets", "75"])
