import csv
import sys

import pytest
import torch

from ddcore.benchmarks.rows import COLUMNS, append_rows, last_lines, row
from ddcore.errors import DDCoreError

ANSWER = "import os, sys; print('noise'); print(sys.argv[1], os.environ['PLACE'])"
FAILURE = "import os, sys; print('noise'); sys.stderr.write('a hint\\nno memory'); sys.stderr.flush(); os._exit(3)"


def test_rows_are_added_under_one_head_line(tmp_path):
    path = tmp_path / "b.csv"
    for value in (1.0, 2.0):
        append_rows(path, [row("unroll", "a case, with a comma", "ddcore", "time", "s", [value, value + 1, value + 2])])
    found = list(csv.DictReader(path.open()))
    assert ",".join(COLUMNS) == "benchmark,case,variant,metric,unit,p20,p50,p80,precision,device,versions,commit"
    assert [float(each["p50"]) for each in found] == [2.0, 3.0]
    assert float(found[0]["p20"]) == pytest.approx(1.4) and float(found[0]["p80"]) == pytest.approx(2.6)
    assert found[0]["case"] == "a case, with a comma" and "torch" in found[0]["versions"] and found[0]["commit"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there the device is the GPU")
def test_a_row_names_the_instructions_that_the_processor_may_use(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    own = row("unroll", "case", "ddcore", "time", "s", [1.0]).device
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    less = row("unroll", "case", "ddcore", "time", "s", [1.0]).device
    instructions = torch.backends.cpu.get_cpu_capability()
    assert f" {instructions}, " in own and own.replace(f" {instructions}, ", " SSE41, ") == less


def test_a_foreign_file_is_left_alone(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("name,value\n")
    with pytest.raises(DDCoreError, match="not a file of measurements"):
        append_rows(path, [row("unroll", "case", "ddcore", "time", "s", [1.0])])
    assert path.read_text() == "name,value\n"


def test_each_process_answers_with_its_last_line():
    commands = [[sys.executable, "-c", ANSWER, word] for word in ("a", "b")]
    assert last_lines("a process", commands, [{"PLACE": "0"}, {"PLACE": "1"}]) == ["a 0", "b 1"]


def test_a_failure_is_one_line_with_its_reason():
    with pytest.raises(DDCoreError, match=r"^ddcore on a case failed \(exit 3\): no memory$"):
        last_lines("ddcore on a case", [[sys.executable, "-c", FAILURE]], [{}])
