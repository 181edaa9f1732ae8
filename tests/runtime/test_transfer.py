import torch

from ddcore.runtime.transfer import sent


def test_a_cpu_gets_the_tensor_itself():
    x = torch.arange(3)
    assert sent(x, "cpu") is x and sent(x, torch.device("cpu")) is x
    assert sent(x, "meta").device.type == "meta"
