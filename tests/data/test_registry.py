import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ddcore.data.registry import DATASETS, NAMES, load_task
from ddcore.errors import UsageError


def test_every_name_is_shown_and_an_unknown_one_is_refused_with_the_known_ones(tmp_path):
    assert set(DATASETS) < set(NAMES)
    with pytest.raises(UsageError, match=r"unknown data set 'imagenet'; known: .*fashion_mnist"):
        load_task("imagenet", tmp_path)


def test_the_bundled_digits_need_no_folder(tmp_path):
    task = load_task("digits", tmp_path / "nothing")
    assert task.name == "digits" and len(task.classes) == 10


def test_a_new_data_set_is_one_file_and_one_line(tmp_path):
    repo = Path(__file__).parents[2]
    for package in ("ddcore", "kernels"):
        shutil.copytree(repo / package, tmp_path / package)
    room = tmp_path / "ddcore" / "data"
    file = (room / "digits.py").read_text().replace('"digits"', '"numerals"').replace("mirrored=False", "mirrored=True")
    (room / "numerals.py").write_text(file)
    table = (room / "registry.py").read_text()
    (room / "registry.py").write_text(re.sub(r'( +)"digits",\n', r'\g<0>\1"numerals",\n', table, count=1))
    program = (
        "from pathlib import Path\n"
        "from ddcore.data import DATASETS, load_task\n"
        "from ddcore.training.recipes import recipe_for\n"
        "task = load_task('numerals', Path())\n"
        "print(task.name, len(task.train), DATASETS['numerals'].counts.test)\n"
        "print(recipe_for(task, 'mlp', 100, 'cpu', toy=True).changes.flip)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.split() == ["numerals", "1437", "360", "True"], run.stderr
