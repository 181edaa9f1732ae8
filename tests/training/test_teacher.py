import pytest
import torch

from ddcore.errors import UsageError
from ddcore.training.teacher import Teacher, load_teacher


def test_a_teacher_comes_back_with_its_answers(tmp_path, toy):
    logits = torch.randn(120, 2)
    Teacher(logits, torch.ones(120, 5), "mlp", "t").save(tmp_path)
    found = load_teacher(tmp_path, toy)
    assert torch.equal(found.logits, logits) and found.features.shape == (120, 5) and found.net == "mlp"


def test_a_teacher_of_other_data_is_refused(tmp_path, toy):
    Teacher(torch.randn(60, 2), None, "mlp", "t").save(tmp_path)
    with pytest.raises(UsageError, match="other data"):
        load_teacher(tmp_path, toy)


def test_a_folder_without_a_teacher_says_how_to_make_one(tmp_path, toy):
    with pytest.raises(UsageError, match="--part fit"):
        load_teacher(tmp_path, toy)
