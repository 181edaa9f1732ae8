import pytest
import torch

from ddcore.runtime.transfer import copied, copy_all, sent


def test_a_cpu_gets_the_tensor_itself():
    x = torch.arange(3)
    assert sent(x, "cpu") is x and sent(x, torch.device("cpu")) is x
    assert sent(x, "meta").device.type == "meta"


def test_copies_have_memory_of_their_own_and_the_same_layout():
    given = {"a": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last), "n": torch.tensor(3)}
    made = copied(given)
    for name, tensor in given.items():
        assert torch.equal(made[name], tensor) and made[name].stride() == tensor.stride()
        assert made[name].data_ptr() != tensor.data_ptr()
    weight = torch.zeros(2, requires_grad=True)
    copy_all({"a": given["a"], "w": weight}, {"a": -made["a"], "w": torch.ones(2), "more": torch.ones(3)})
    assert torch.equal(given["a"], -made["a"]) and weight.tolist() == [1, 1] and weight.grad_fn is None
    with pytest.raises(KeyError, match="n"):
        copy_all(given, {"a": made["a"]})
