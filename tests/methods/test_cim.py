import pytest
import torch
from toys import problem, saved_networks, session_in, toy_teacher

from ddcore.data.siamese import augmented, strategies
from ddcore.draws import generator
from ddcore.errors import UsageError
from ddcore.methods.cim import CIM
from ddcore.options import changed
from ddcore.runtime.session import Session
from ddcore.synthesis import begun
from ddcore.synthesis.outer_loop import distilled_set


@pytest.fixture
def asked(toy, tmp_path):
    return problem(toy, 4, toy_teacher(toy, saved_networks(toy, tmp_path / "teacher")), 3)


@pytest.mark.parametrize("augment", ["none", "crop,flip,colour"])
def test_a_steps_gradient_is_that_of_a_plain_loop(asked, augment):
    run = changed(CIM(), {"augment": augment, "init": "random"}).start(asked, Session())
    run.x += 0.3 * torch.randn(run.x.shape, generator=torch.Generator().manual_seed(0))
    parts = run.gradients(run.shards(5))
    slope = torch.stack([part.gradients["x"] for part in parts]).mean(0)
    x = run.x.clone().requires_grad_()
    losses = []
    for k in range(2):
        views = [
            augmented(each[run.y == k], strategies(augment), generator(3, "change", 5, k)) for each in (x, run.sources)
        ]
        own, goal = (run.nets[0].features(view) for view in views)
        losses.append((own - goal).abs().mean())
    loss = torch.stack(losses).mean()
    assert sum(part.values["loss"] for part in parts) / len(parts) == pytest.approx(float(loss.detach()), rel=1e-4)
    torch.testing.assert_close(slope, torch.autograd.grad(loss, x)[0], rtol=1e-3, atol=1e-7)


def test_members_that_are_their_sources_have_nothing_to_learn(asked):
    run = CIM().start(asked, Session())
    assert run.sources.data_ptr() != run.x.data_ptr()
    for part in run.gradients(run.shards(0)):
        assert part.values["loss"] == 0 and not part.gradients["x"].any()


def test_stored_images_hold_four_crops_each_and_come_nearer_to_them(asked, tmp_path):
    seen = []
    session = session_in(tmp_path / "run", lambda step, total, values: seen.append(values["loss"]))
    method = changed(CIM(), {"steps": 40, "augment": "none", "image_rate": 0.1})
    small = distilled_set(method, asked, session)
    assert len(small) == 16 and small.origin.factor == 2 and small.options["budget"] == 4
    assert small.y.bincount().tolist() == [8, 8] and len(small.provenance["crops"]) == 16
    assert seen[0] > 0 and sum(seen[-5:]) < 0.8 * sum(seen[:5])
    first = begun(method, asked, Session()).decode()
    assert not torch.equal(first.x, small.x)


def test_it_needs_tiles_and_real_images(asked):
    with pytest.raises(UsageError, match="--factor 1 is too small"):
        changed(CIM(), {"factor": 1})
    with pytest.raises(UsageError, match="noise"):
        changed(CIM(), {"init": "noise"}).start(asked, Session())


def test_a_network_without_features_is_refused(asked, monkeypatch):
    monkeypatch.delattr("ddcore.nets.convnet_bn.ConvNetBN.features")
    answer = lambda self, x: self.classifier(self.blocks(x).flatten(1))  # noqa: E731
    monkeypatch.setattr("ddcore.nets.convnet_bn.ConvNetBN.forward", answer)
    with pytest.raises(UsageError, match=r"cim uses features.*convnet-bn"):
        CIM().start(asked, Session())
