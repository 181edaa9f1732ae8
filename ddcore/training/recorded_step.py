"""The step of a training on a GPU as a CUDA graph.

A step of a small network is limited by the time to launch its kernels. So batch, changes, loss, backward pass and the
optimiser's step are recorded once. What is drawn for a step, and its learning rates, come in one copy from the host.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ddcore.draws import scoped
from ddcore.runtime import State, copied, copy_all, packed, sent
from ddcore.training.optimisers import keep_on_device, moments, rated_step
from ddcore.training.step import Course, image_draws, image_loss
from ddcore.unroll import Recorder

log = logging.getLogger(__name__)


def stepper(course: Course) -> Callable[[int, Tensor], Tensor]:
    """Return what takes the steps of a training, see `Course.take`: as a CUDA graph where it can be one.

    A graph needs a GPU that holds the members, and the same shapes in each step, which batches of texts do not have.
    """
    x, y = course.examples.x, course.examples.y
    recordable = y.device.type == "cuda" and x.device == y.device and course.task.kind == "images"
    return RecordedStep(course) if recordable else course.take


class RecordedStep:
    """The steps of a training on images, recorded with the first of them.

    If the network draws, as dropout does, or the recording fails, which is logged, steps are taken launch by launch;
    the training is then the same as without this class.

    Args:
        course: of the training, on a GPU; its network and its optimiser hold the state that it starts from.
    """

    def __init__(self, course: Course) -> None:
        self.course = course
        self.rates = len(course.peaks)
        self.replay: Callable[[], None] | None = None
        self.plain = False

    def __call__(self, step: int, members: Tensor) -> Tensor:
        """Take a step and return its loss ``()``, which the next step overwrites.

        Args:
            step: counted from 0.
            members: ``(n,)`` int64 on the CPU, the batch; n is the same in each step.
        """
        if not self.plain:
            numbers = sent(self._numbers(step, members), self.course.examples.y.device)
            if self.replay is None:
                self._record(step, len(members), numbers)
            if self.replay is not None:
                self.numbers.copy_(numbers)
                self.replay()
                return self.loss
        return self.course.take(step, members)

    def _numbers(self, step: int, members: Tensor) -> Tensor:
        """Return all that differs from step to step: the members, their changes, mixup's weight and the rates."""
        course = self.course
        places, weight = image_draws(course.examples, len(members), course.recipe, course.draws(step))
        reals = torch.tensor([weight, *course.rates(step)], dtype=torch.float64)
        return torch.cat([members, places.flatten(), reals.view(torch.int64)])

    def _work(self, n: int, numbers: Tensor) -> tuple[Tensor]:
        """Take a step with n members, and wait for nothing."""
        course = self.course
        members, places, reals = numbers.tensor_split([n, len(numbers) - 1 - self.rates])
        weight, *rates = reals.view(torch.float64).float().unbind()
        batch = course.examples[members]
        loss = image_loss(course.net, course.task, batch, course.recipe, (places.view(n, -1), weight))
        course.optimiser.zero_grad()
        loss.backward()
        rated_step(course.optimiser, rates)
        return (loss.detach(),)

    def _record(self, step: int, n: int, numbers: Tensor) -> None:
        course, self.plain = self.course, True
        keep_on_device(course.optimiser, True)
        try:
            # Adam warns of steps that are not recorded, and PyTorch of its search for waits.
            with warnings.catch_warnings(), scoped(course.seed, "dropout", step):
                warnings.simplefilter("ignore")
                with unchanged(course.net, course.optimiser):
                    self._try(n, numbers)
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            log.warning("no CUDA graph of the training step: %s", reason)
        if self.plain:
            course.optimiser.zero_grad()
            keep_on_device(course.optimiser, False)

    def _try(self, n: int, numbers: Tensor) -> None:
        """Take steps, and record one if no step draws."""
        before = _generator_states()
        self._work(n, numbers)
        if not all(map(torch.equal, before, _generator_states())):
            return
        # A wait spoils a recording, and what a spoiled one leaves behind: find it first.
        with no_waits():
            self._work(n, numbers)
        self.numbers = numbers.clone()
        self.replay, (self.loss,) = Recorder()(lambda given: self._work(n, given), (self.numbers,))
        self.plain = False


@contextmanager
def unchanged(net: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[None]:
    """Put a network and an optimiser's state back after a ``with`` block, in the same tensors, however it ends.

    State that the optimiser begins inside becomes zero: it then is as before a first step.
    """

    def state() -> State:
        tensors = dict(net.named_parameters()) | dict(net.named_buffers())
        return packed({"net": tensors, "optimiser": moments(optimiser)})

    before = copied(state())
    try:
        yield
    finally:
        after = state()
        for name in after.keys() - before.keys():
            after[name].zero_()
        copy_all({name: after[name] for name in before}, before)


@contextmanager
def no_waits() -> Iterator[None]:
    """Let operations raise a RuntimeError inside a ``with`` block for which the host waits for the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _generator_states() -> list[Tensor]:
    """Return the states of torch's global generators; no GPU is waited for."""
    return [each.get_state() for each in (torch.default_generator, *torch.cuda.default_generators)]
