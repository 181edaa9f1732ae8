import sys

import pytest

from ddcore.benchmarks.processes import last_lines
from ddcore.errors import DDCoreError

ANSWER = "import os, sys; print('noise'); print(sys.argv[1], os.environ['PLACE'])"
FAILURE = "import os, sys; print('noise'); sys.stderr.write('a hint\\nno memory'); sys.stderr.flush(); os._exit(3)"


def test_each_process_answers_with_its_last_line():
    commands = [[sys.executable, "-c", ANSWER, word] for word in ("a", "b")]
    assert last_lines("a process", commands, [{"PLACE": "0"}, {"PLACE": "1"}]) == ["a 0", "b 1"]


def test_a_failure_is_one_line_with_its_reason():
    with pytest.raises(DDCoreError, match=r"^ddcore on a case failed \(exit 3\): no memory$"):
        last_lines("ddcore on a case", [[sys.executable, "-c", FAILURE]], [{}])
