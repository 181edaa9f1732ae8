import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ddcore.errors import UsageError
from ddcore.nets.registry import NETS, net_name


def test_a_network_of_another_kind_is_refused_with_those_that_fit(toy):
    assert net_name("default", toy) == toy.default_net and net_name("mlp", toy) == "mlp"
    with pytest.raises(UsageError, match=r"'bag' does not read images; these do: convnet"):
        net_name("bag", toy)
    with pytest.raises(UsageError, match=r"unknown network 'vit'; known: .*module:builder"):
        net_name("vit", toy)


def test_a_new_network_is_one_file_and_one_line(tmp_path):
    repo = Path(__file__).parents[2]
    for package in ("ddcore", "kernels"):
        shutil.copytree(repo / package, tmp_path / package)
    room = tmp_path / "ddcore" / "nets"
    (room / "perceptron.py").write_text((room / "mlp.py").read_text().replace("MLP", "Perceptron"))
    table = (room / "registry.py").read_text()
    line = '    "perceptron": Net("images", "perceptron.Perceptron"),\n'
    (room / "registry.py").write_text(re.sub(r' +"mlp": .*\n', rf"\g<0>{line}", table, count=1))
    program = (
        "from pathlib import Path\n"
        "from ddcore.data import load_task\n"
        "from ddcore.nets import build_net\n"
        "from ddcore.training.recipes import recipe_for\n"
        "task = load_task('digits', Path())\n"
        "print(type(build_net('perceptron', task, 0)).__name__)\n"
        "print(recipe_for(task, 'perceptron', 100, 'cpu', toy=True).steps)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.split() == ["Perceptron", "100"], run.stderr
    assert "perceptron" not in NETS
