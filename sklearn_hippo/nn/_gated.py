"""The gated recurrence over time: in plain PyTorch for any device, and compiled for the CPU.

Both keep the memory in the coordinates of `Modes`, in which an implicit step of any length costs O(order): irregular
sequences cost what regular ones do. Arrays are laid out time by time, (length, batch, ...), and the rows of a batch are
sorted by length: ``active[t]`` of them have not ended at time t.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._ext_rnn import MGU, NO_GATE, PACKING, TIMED, Sequence, sequence
from ._inputs import array_of
from ._steps import IMPLICIT, Coordinates, advance, matrices

COMPILED_GATES = {None: NO_GATE, "mgu": MGU, "timed": TIMED}
GATES = (*COMPILED_GATES, "gru")


class Weights(NamedTuple):
    """What the recurrence multiplies with; W is over the coordinates of the memory."""

    U: Tensor  # (memory_size, hidden_size)
    W: Tensor  # (n_outputs, memory_size * size)
    R: Tensor | None  # (n_outputs, hidden_size), of the gate "gru" only


def blend(gate: str | None, act: Tensor, hidden: Tensor, step: Tensor, R: Tensor | None) -> Tensor:
    """The new hidden state from what input and memory contribute to it and its gates; (E15) is the timed one."""
    size = hidden.shape[1]
    if gate is None:
        return torch.tanh(act)
    if gate == "gru":
        assert R is not None
        reset = torch.sigmoid(act[:, 2 * size :] + hidden @ R[2 * size :].T)
        opening = torch.sigmoid(act[:, size : 2 * size] + hidden @ R[size : 2 * size].T)
        candidate = torch.tanh(act[:, :size] + (reset * hidden) @ R[:size].T)
        return hidden + opening * (candidate - hidden)
    candidate = torch.tanh(act[:, :size])
    if gate == "mgu":
        opening = torch.sigmoid(act[:, size:])
    else:
        starts = torch.isinf(step)[:, None]
        h = torch.where(starts, 0.0, step[:, None]).to(act.dtype)
        opening = torch.where(starts, 1.0, -torch.expm1(-h * torch.exp(act[:, size:].clamp(max=80))))
    return hidden + opening * (candidate - hidden)


def loop(
    x: Tensor, y: Tensor, step: Tensor, lengths: Tensor, weights: Weights, hidden: Tensor, memory: Tensor,
    own: Coordinates, gate: str | None, discretization: str, tied: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Recurrence in plain PyTorch, one step after the other; same arguments and results as `scan`."""
    outputs = []
    table, which = matrices(step, own, discretization)
    lost = torch.zeros_like(memory)
    h, c, gone = hidden, memory, lost  # before the first observation of a stamp
    # Taken apart at once: the gradient of each x[t] would be as large as x.
    for t, (x_t, y_t, step_t) in enumerate(zip(x.unbind(), y.unbind(), step.unbind(), strict=True)):
        goes_on = (lengths > t)[:, None]
        again = None if tied is None else tied[t][:, None]
        h = hidden if again is None else torch.where(again, h, hidden)
        c = memory if again is None else torch.where(again[..., None], c, memory)
        gone = lost if again is None else torch.where(again[..., None], gone, lost)
        u = x_t + h @ weights.U.T
        made, lost = advance(c, gone, u, step_t, own, discretization, None if table is None else table[which[t]])
        blended = blend(gate, y_t + made.flatten(1) @ weights.W.T, h, step_t, weights.R)
        hidden = torch.where(goes_on, blended, hidden)
        memory = torch.where(goes_on[..., None], made, memory)
        outputs.append(torch.where(goes_on, blended, 0.0))
    return torch.stack(outputs), hidden, memory


# --- compiled -----------------------------------------------------------------------------------------


def _lay_out(
    way: Any, step: Tensor, x: Tensor, y: Tensor, U: Tensor, W: Tensor, u: Tensor, memory: Tensor, hidden: Tensor,
    act: Tensor,
) -> tuple[Sequence, NDArray[Any]]:  # fmt: skip
    """The compiled recurrence over these arrays, and scratch for its threads."""
    own, gate, discretization, lengths = way
    length, batch, _ = x.shape
    dtype = u.numpy().dtype
    active = (lengths[None] > torch.arange(length)[:, None]).sum(dim=1)
    packed = np.empty((len(W) + PACKING) * (W.shape[1] + PACKING), dtype)
    n_threads = max(1, min(torch.get_num_threads(), batch // 4))
    recurrence = sequence(
        array_of(own.frequency), array_of(own.V), array_of(own.origin), np.array(own.b), own.damping,
        IMPLICIT[discretization],
        COMPILED_GATES[gate],
        array_of(step), array_of(active).astype(np.intp), array_of(x), array_of(y), array_of(U), array_of(W),
        u.detach().numpy(), memory.detach().numpy(), hidden.detach().numpy(), act.detach().numpy(), packed,
    )  # fmt: skip
    return recurrence, np.empty((n_threads, 3 * len(own.frequency)), dtype)


class _Scan(torch.autograd.Function):
    """The compiled recurrence and its gradient, which needs what a forward pass leaves behind of every step."""

    @staticmethod
    def forward(
        ctx: Any, own: Coordinates, gate: str | None, discretization: str, lengths: Tensor, step: Tensor, x: Tensor,
        y: Tensor, U: Tensor, W: Tensor, hidden_0: Tensor, memory_0: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        length, batch, _ = x.shape
        width = W.shape[1]
        ragged = int(lengths[-1]) < length
        new = x.new_zeros if ragged else x.new_empty  # what has ended must not disturb the gradients' sums
        u, act = new(x.shape), new(y.shape)
        memory, hidden = new((length + 1, batch, width)), new((length + 1, batch, U.shape[1]))
        memory[0], hidden[0] = memory_0.reshape(batch, width), hidden_0
        ctx.way = own, gate, discretization, lengths
        ctx.save_for_backward(step, x, y, U, W, hidden_0, memory_0, u, memory, hidden, act)
        ctx.set_materialize_grads(False)
        recurrence, scratch = _lay_out(ctx.way, step, x, y, U, W, u, memory, hidden, act)
        recurrence.forward(np.zeros((batch, width), scratch.dtype), scratch)
        last = lengths, torch.arange(batch)
        return hidden[1:], hidden[last], memory[last].reshape(memory_0.shape)

    @staticmethod
    def backward(
        ctx: Any, grad_outputs: Tensor | None, grad_hidden: Tensor | None, grad_memory: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # second derivatives are wanted
            return None, None, None, None, *_Scan._differentiable(ctx, grad_outputs, grad_hidden, grad_memory)
        step, x, y, U, W, _, memory_0, u, memory, hidden, act = ctx.saved_tensors
        length, batch, _ = x.shape
        new = x.new_zeros if int(ctx.way[3][-1]) < length else x.new_empty
        state, state_memory = x.new_zeros(batch, U.shape[1]), x.new_zeros(batch, W.shape[1])
        if grad_hidden is not None:
            state.copy_(grad_hidden)
        if grad_memory is not None:
            state_memory.copy_(grad_memory.reshape(state_memory.shape))
        grad_x, grad_y = new(x.shape), new(y.shape)
        grad_step = torch.zeros(length, batch, dtype=torch.float64) if ctx.needs_input_grad[4] else None
        recurrence, scratch = _lay_out(ctx.way, step, x, y, U, W, u, memory, hidden, act)
        recurrence.backward(
            state.numpy(), state_memory.numpy(), None if grad_outputs is None else array_of(grad_outputs),
            grad_x.numpy(), grad_y.numpy(), None if grad_step is None else grad_step.numpy(), scratch,
        )  # fmt: skip
        grad_U = grad_x.flatten(0, 1).T @ hidden[:-1].flatten(0, 1)
        grad_W = grad_y.flatten(0, 1).T @ memory[1:].flatten(0, 1)
        initial = state_memory.view(memory_0.shape)
        return None, None, None, None, grad_step, grad_x, grad_y, grad_U, grad_W, state, initial

    @staticmethod
    def _differentiable(ctx: Any, *grads: Tensor | None) -> list[Tensor | None]:
        own, gate, discretization, lengths = ctx.way
        inputs = ctx.saved_tensors[:7]
        step, x, y, U, W, hidden, memory = inputs
        results = loop(x, y, step, lengths, Weights(U, W, None), hidden, memory, own, gate, discretization)
        used = [(result, grad) for result, grad in zip(results, grads, strict=True) if grad is not None]
        wanted = [tensor for tensor in inputs if tensor.requires_grad]
        outputs, grad_outputs = zip(*used, strict=True)
        found = iter(torch.autograd.grad(outputs, wanted, grad_outputs, create_graph=True, allow_unused=True))
        return [next(found) if tensor.requires_grad else None for tensor in inputs]


def scan(
    x: Tensor, y: Tensor, step: Tensor, lengths: Tensor, weights: Weights, hidden: Tensor, memory: Tensor,
    own: Coordinates, gate: str | None, discretization: str, tied: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Run the gated recurrence.

    Parameters
    ----------
    x, y : Tensor of shape (length, batch, memory_size), (length, batch, n_outputs)
        What the inputs contribute to the inputs of the memory, and to candidate and gates.
    step : Tensor of shape (length, batch)
        Steps of the clock in double precision, infinite where a memory starts.
    lengths : Tensor of shape (batch,)
        Not increasing, each from 0 to ``length``.
    weights : Weights
    hidden, memory : Tensor of shape (batch, hidden_size), (batch, memory_size, size)
        Initial state.
    own : Coordinates
    gate : str or None
    discretization : str
    tied : Tensor of bool of shape (length, batch), optional
        Which observations are of the stamp of the one before, and begin where that one began: in plain PyTorch.

    Returns
    -------
    outputs : Tensor of shape (length, batch, hidden_size)
        Zero beyond a sequence's end.
    hidden, memory : Tensor
        State at a sequence's end.
    """
    compiled = gate in COMPILED_GATES and discretization in IMPLICIT and own.V is not None and tied is None
    compiled = compiled and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    if not compiled or torch.compiler.is_compiling():
        return loop(x, y, step, lengths, weights, hidden, memory, own, gate, discretization, tied)
    return _Scan.apply(own, gate, discretization, lengths, step, x, y, weights.U, weights.W, hidden, memory)
