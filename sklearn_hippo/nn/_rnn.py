"""HiPPOCell and HiPPORNN: the paper's gated recurrence as PyTorch modules."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from .._measures import MEASURES, dynamics_of, with_dynamics
from ._described import Described
from ._gated import GATES, Weights, scan
from ._inputs import fill, lay_out, none, steps
from ._steps import DISCRETIZATIONS, Coordinates, coordinates, make_coordinates, mind_forks

STRETCH = 128  # steps at a time where no gradient is wanted
N_BLOCKS = {None: 1, "mgu": 2, "timed": 2, "gru": 3}  # the candidate and its gates


class HiPPOCell(Described):
    r"""One step of the gated HiPPO-RNN, (E14) of the maths page.

    It is that of section 2.4 and figure 2 of the paper [1]_. The hidden state decides what enters the memory, and the
    memory, a projection of all that ever entered it, decides with the input what the hidden state becomes:

    .. math::

        u_t &= W_u [x_t, h_{t-1}] + b_u, \\
        c_t &= \text{step}(c_{t-1}, u_t), \\
        \tilde h_t &= \tanh(W_h [x_t, c_t] + b_h), \\
        g_t &= \sigma(W_g [x_t, c_t] + b_g), \\
        h_t &= (1 - g_t) \odot h_{t-1} + g_t \odot \tilde h_t,

    where step is that of :math:`c' = A c + B u`, equation (2), over the time since the last observation, on the clock
    of the measure.

    Parameters
    ----------
    input_size, hidden_size : int
    measure : {"legs", "legs_lti", "legt", "lmu", "lagt", "fout", "rand"}, default="legs"
        What the memory is; see the maths page. ``"lmu"`` is ``"legt"`` in the scaling of the Legendre memory unit,
        ``"rand"`` a random stable A and a random B, the control.
    order : int, optional
        Coefficients of each memory; by default ``hidden_size``.
    memory_size : int, default=1
        Number of memories, one for each number in :math:`u_t`.
    gate : {"mgu", "timed", "gru", None}, default="mgu"
        - ``"mgu"``: the paper's, above.
        - ``"timed"``: :math:`g_t = 1 - \exp(-\Delta_t e^{W_g [x_t, c_t] + b_g})`: the hidden state relaxes towards the
          candidate for as long as the step :math:`\Delta_t` of the clock lasts, so that it does not depend on how
          often a signal is observed.
        - ``"gru"``: gates see h as well, and a reset gate r gives the candidate
          :math:`\tanh(W_h [x_t, c_t] + R (r_t \odot h_{t-1}) + b_h)`.
        - None: h is the candidate.
    discretization : {"bilinear", "backward", "zoh"}, default="bilinear"
        Of the step. The first two cost O(order). ``"zoh"`` is exact: the memory is the projection of :math:`u`, each
        value of which fills the time since the observation before, as in `HiPPOMemory`; it costs a matrix for every
        different step, and a product with it.
    device, dtype : optional
        Of the parameters.

    Attributes
    ----------
    n_states : int
        Length of a memory: the order, or one more under ``"fout"`` if that is even.

    Notes
    -----
    The coefficients are those of an orthonormal basis: their squares sum up to the mean square of u, whatever the
    order. So the weights of the memory begin as if it were one number, not ``order``; under ``"lmu"``, whose
    coefficients grow with their index, they begin as those of ``"legt"``.

    A state dict tells under ``_extra_state`` what its weights were made for (measure, order, memory_size, gate and
    discretization; for a `HiPPORNN` mask_input as well). Weights of another kind are refused, whatever their shapes;
    those of a state dict without the entry are taken as they are, under ``strict=False``.

    References
    ----------
    .. [1] Gu, Dao, Ermon, Rudra, Ré, "HiPPO: Recurrent Memory with Optimal Polynomial Projections", NeurIPS 2020,
       arXiv:2008.07669.

    Examples
    --------
    >>> import torch
    >>> from sklearn_hippo.nn import HiPPOCell
    >>> cell = HiPPOCell(3, 8, order=16)
    >>> hidden, memory = cell(torch.zeros(5, 3), torch.full((5,), torch.inf))  # memories start
    >>> hidden, memory = cell(torch.ones(5, 3), torch.full((5,), 0.69), (hidden, memory))
    >>> hidden.shape, memory.shape
    (torch.Size([5, 8]), torch.Size([5, 1, 16]))
    """

    _told = ("measure", "order", "memory_size", "gate", "discretization")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        measure: str = "legs",
        order: int | None = None,
        memory_size: int = 1,
        gate: str | None = "mgu",
        discretization: str = "bilinear",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        for name, value, allowed in (
            ("measure", measure, tuple(with_dynamics())), ("gate", gate, GATES),
            ("discretization", discretization, DISCRETIZATIONS),
        ):  # fmt: skip
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")
        order = hidden_size if order is None else order
        for name, number in (
            ("input_size", input_size), ("hidden_size", hidden_size), ("order", order), ("memory_size", memory_size),
        ):  # fmt: skip
            if int(number) != number or number < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {number!r}.")
        input_size, hidden_size, order, memory_size = map(int, (input_size, hidden_size, order, memory_size))
        self.input_size, self.hidden_size, self.order, self.memory_size = input_size, hidden_size, order, memory_size
        self.measure, self.gate, self.discretization = measure, gate, discretization
        self.n_states = len(dynamics_of(measure, order).B)
        n_outputs = N_BLOCKS[gate] * hidden_size

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        self.weight_ux = parameter(memory_size, input_size)
        self.weight_uh = parameter(memory_size, hidden_size)
        self.bias_u = parameter(memory_size)
        self.weight_x = parameter(n_outputs, input_size)
        self.weight_c = parameter(n_outputs, memory_size * order)
        self.bias = parameter(n_outputs)
        self.weight_h = parameter(n_outputs, hidden_size) if gate == "gru" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for weight, fan_in in (
            (self.weight_ux, self.input_size), (self.weight_uh, self.hidden_size), (self.weight_x, self.input_size),
            (self.weight_c, self.memory_size), (self.weight_h, self.hidden_size),
        ):  # fmt: skip
            if weight is not None:
                nn.init.uniform_(weight, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
        scale = dynamics_of(self.measure, self.order).scale
        if scale is not None:  # of a basis that is not orthonormal: begin as with the one that is
            with torch.no_grad():
                blocks = self.weight_c.view(len(self.weight_c), self.memory_size, self.order)
                blocks /= torch.as_tensor(abs(scale), dtype=blocks.dtype, device=blocks.device)
        nn.init.zeros_(self.bias_u)
        nn.init.zeros_(self.bias)
        if self.gate == "timed":  # rates from one to a hundred relaxations per unit of the clock
            with torch.no_grad():
                self.bias[self.hidden_size :].uniform_(0, math.log(100))

    def extra_repr(self) -> str:
        """Parameters, for the module's representation.

        Returns
        -------
        str
        """
        return (
            f"{self.input_size}, {self.hidden_size}, measure={self.measure!r}, order={self.order}, "
            f"memory_size={self.memory_size}, gate={self.gate!r}, discretization={self.discretization!r}"
        )

    def _coordinates(self) -> Coordinates:
        make = make_coordinates if torch.compiler.is_compiling() else coordinates  # what is traced must not be kept
        return make(self.measure, self.order, self.weight_c.dtype, self.weight_c.device)

    def _scan(
        self, x: Tensor, step: Tensor, lengths: Tensor, hidden: Tensor | None, memory: Tensor | None,
        tied: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Outputs and final state of inputs x (length, batch, input_size), sorted by decreasing length."""
        if x.dtype not in (torch.float32, torch.float64) or x.dtype != self.weight_c.dtype:
            raise ValueError(
                f"Inputs and weights must both be float32 or float64, got {x.dtype} and {self.weight_c.dtype}."
            )
        own = self._coordinates()
        length, batch, _ = x.shape
        z = x.new_zeros(batch, self.memory_size, own.into.shape[0]) if memory is None else memory @ own.into.T
        hidden = x.new_zeros(batch, self.hidden_size) if hidden is None else hidden
        blocks = self.weight_c.view(len(self.weight_c), self.memory_size, self.order)
        weights = Weights(self.weight_uh, (blocks @ own.out[: self.order]).flatten(1), self.weight_h)

        def run(part: Tensor, steps: Tensor, ends: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            inputs = F.linear(part, self.weight_ux, self.bias_u), F.linear(part, self.weight_x, self.bias)
            return scan(*inputs, steps, ends, weights, h, c, own, self.gate, self.discretization, tied)

        if torch.is_grad_enabled() or length <= STRETCH or tied is not None:
            outputs, hidden, z = run(x, step, lengths, hidden, z)
        else:  # nothing of a step is needed again: a stretch of them at a time, of the sequences that go on
            outputs = x.new_zeros(length, batch, self.hidden_size)
            for first in range(0, length, STRETCH):
                n = int((lengths > first).sum())
                ends = (lengths[:n] - first).clamp(max=STRETCH)
                rows = slice(first, first + int(ends[0]))
                outputs[rows, :n], h, c = run(x[rows, :n], step[rows, :n], ends, hidden[:n], z[:n])
                hidden, z = torch.cat([h, hidden[n:]]), torch.cat([c, z[n:]])
        return outputs, hidden, z @ own.out.T

    def forward(self, x: Tensor, step: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Take one step.

        Parameters
        ----------
        x : Tensor of shape (batch, input_size)
            Input.
        step : Tensor of shape (batch,)
            How far the clock of the measure has moved since the last observation: (t_k - t_{k-1}) / timescale, or,
            under ``"legs"``, log((t_k - t_0) / (t_{k-1} - t_0)). It is infinite where a memory starts.
        state : tuple of Tensor, optional
            Hidden state (batch, hidden_size) and memory (batch, memory_size, n_states); zero by default.

        Returns
        -------
        hidden : Tensor of shape (batch, hidden_size)
        memory : Tensor of shape (batch, memory_size, n_states)
            Coefficients, the first ``order`` of them in the basis of the measure.

        Raises
        ------
        ValueError
            If shapes do not match.
        """
        mind_forks()
        if x.ndim != 2 or x.shape[1] != self.input_size:
            raise ValueError(f"x must have shape (batch, {self.input_size}), got {tuple(x.shape)}.")
        if step.shape != x.shape[:1]:
            raise ValueError(f"step must have shape ({len(x)},), got {tuple(step.shape)}.")
        if len(x) == 0 or not bool((step >= 0).all()):
            raise ValueError("step must hold a number from zero on, or infinity, for each of at least one sequence.")
        hidden, memory = (None, None) if state is None else state
        ones = torch.ones(len(x), dtype=torch.int64, device=x.device)
        _, hidden, memory = self._scan(x[None], step[None].double(), ones, hidden, memory)
        return hidden, memory


class HiPPOState(NamedTuple):
    """Where a batch of sequences stands: hand it on to continue them."""

    hidden: Tensor
    """(batch, hidden_size)"""
    memory: Tensor
    """(batch, memory_size, n_states)"""
    start: Tensor
    """(batch,) where the logarithmic clock of ``"legs"`` starts; NaN until a second stamp tells how long the first one
    had lasted"""
    time: Tensor
    """(batch,) of the last observation; NaN where there was none yet"""
    seen: Tensor
    """(batch, input_size) last values of every channel, 0 where there was none yet"""


class HiPPORNN(Described):
    r"""The HiPPO-RNN over sequences of different lengths, with timestamps and missing values.

    Parameters
    ----------
    input_size, hidden_size : int
        Number of channels, and of hidden units.
    measure, order, memory_size, gate, discretization : optional
        As in `HiPPOCell`.
    timescale : float, optional
        Length of the window or time constant, in units of the timestamps: needed by all measures but ``"legs"``, which
        scales with the sequence.
    learn_timescale : bool, default=False
        Whether the timescale is a parameter (its logarithm is).
    mask_input : bool, default=False
        Whether the network is also told which channels were observed: 1 or 0 for each, after the values.
    batch_first : bool, default=True
        Whether sequences are (batch, length, ...), not (length, batch, ...).
    device, dtype : optional
        Of the parameters.

    Attributes
    ----------
    cell : HiPPOCell
        All weights.

    Notes
    -----
    An observation fills the time since the one before, and the first one all of the past: a memory starts as that of a
    constant. So no output depends on what comes later, and a sequence that is cut anywhere, its state carried over,
    ends in the same numbers. Without times, observation k is at time k. A channel that was not observed keeps its last
    value, and is 0 before there is any. Observations of one stamp are one observation, of each channel the last one
    that is not missing; an output in between is what it would be if the sequence ended there. What lies behind a
    sequence's end is never read: its output does not depend on its batch, to rounding. A sequence may be empty: its
    state is the initial one.

    On the CPU, the recurrence is compiled and its gradient written by hand (gates "mgu", "timed" and None, implicit
    discretizations); elsewhere, for second derivatives, and for batches in which observations share their stamps, it is
    plain PyTorch.

    Examples
    --------
    >>> import torch
    >>> from sklearn_hippo.nn import HiPPORNN
    >>> rnn = HiPPORNN(3, 8, order=16)
    >>> x, times = torch.randn(2, 5, 3), torch.tensor([[0.0, 1.0, 3.0, 4.0, 9.0], [0.0, 0.5, 0.7, 0.0, 0.0]])
    >>> outputs, state = rnn(x, times, lengths=[5, 3])
    >>> outputs.shape, state.hidden.shape, state.memory.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]), torch.Size([2, 1, 16]))
    """

    _told = ("mask_input",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        measure: str = "legs",
        order: int | None = None,
        memory_size: int = 1,
        gate: str | None = "mgu",
        discretization: str = "bilinear",
        timescale: float | None = None,
        learn_timescale: bool = False,
        mask_input: bool = False,
        batch_first: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        self.cell = HiPPOCell(
            input_size * (1 + mask_input), hidden_size, measure=measure, order=order, memory_size=memory_size,
            gate=gate, discretization=discretization, device=device, dtype=dtype,
        )  # fmt: skip
        self.input_size, self.hidden_size = input_size, hidden_size
        self.mask_input, self.batch_first = bool(mask_input), batch_first
        self.clock = MEASURES[measure].clock
        if self.clock == "linear" and (timescale is None or not 0 < timescale < math.inf):
            raise ValueError(f"measure={measure!r} needs a positive timescale, in units of the times; got {timescale}.")
        if self.clock == "log" and (timescale is not None or learn_timescale):
            raise ValueError(f"measure={measure!r} scales with the sequence: it has no timescale.")
        self.log_timescale: Tensor | None
        if timescale is None:
            self.log_timescale = None
        else:
            log = torch.tensor(math.log(timescale), device=device, dtype=torch.float64)
            if learn_timescale:
                self.log_timescale = nn.Parameter(log)
            else:
                self.register_buffer("log_timescale", log)

    @property
    def timescale(self) -> float | None:
        """Current timescale, in units of the timestamps."""
        return None if self.log_timescale is None else math.exp(self.log_timescale.item())

    def extra_repr(self) -> str:
        """Parameters, for the module's representation.

        Returns
        -------
        str
        """
        return f"timescale={self.timescale}, mask_input={self.mask_input}, batch_first={self.batch_first}"

    def forward(
        self,
        x: Tensor | PackedSequence,
        times: Tensor | None = None,
        lengths: Any = None,
        mask: Tensor | None = None,
        state: HiPPOState | None = None,
    ) -> tuple[Tensor | PackedSequence, HiPPOState]:
        """Run over a batch.

        Parameters
        ----------
        x : Tensor of shape (batch, length, input_size), or PackedSequence
            NaN is a channel that was not observed.
        times : Tensor of shape (batch, length) or (length,), optional
            Of each sequence, not decreasing; by default 0, 1, 2, ..., or what follows the times of ``state``.
        lengths : array-like of int of shape (batch,), optional
            By default all of ``length``.
        mask : Tensor of bool, of the shape of x, optional
            Where a channel was observed; by default where x is not NaN.
        state : HiPPOState, optional
            Where an earlier part of the same sequences ended.

        Returns
        -------
        outputs : Tensor of shape (batch, length, hidden_size), or PackedSequence
            Hidden states, zero behind a sequence's end.
        state : HiPPOState
            At a sequence's end.

        Raises
        ------
        ValueError
            If shapes or lengths do not match, times decrease or are not finite, values are infinite, or a sequence goes
            on at the stamp at which its state ended: observations of one stamp belong into one call.
        """
        mind_forks()
        if isinstance(x, PackedSequence):
            padded, lengths = pad_packed_sequence(x, batch_first=self.batch_first)
            outputs, state = self.forward(padded, times, lengths, mask, state)
            assert isinstance(outputs, Tensor)
            if x.sorted_indices is not None:
                outputs = outputs.index_select(0 if self.batch_first else 1, x.sorted_indices)
                lengths = lengths[x.sorted_indices.cpu()]
            data = pack_padded_sequence(outputs, lengths, batch_first=self.batch_first).data
            return PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices), state
        own = lay_out(x, times, lengths, mask, self.input_size, batch_first=self.batch_first)
        x, times, lengths, mask, order = own
        length, batch, _ = x.shape
        state = own.sorted(state)
        if state is None:
            state = self._initial_state(x)
        if length and not none(lengths > 0):
            inside = (torch.arange(length)[:, None] < lengths).to(x.device)
            step, start, time, stamp = steps(
                times, inside, lengths.to(x.device), state.start, state.time, self.log_timescale, order
            )
            x, seen = fill(x, inside, mask, state.seen, stamp, with_mask=self.mask_input)
            tied = None if stamp is None else stamp < torch.arange(length, device=x.device)[:, None]
            outputs, hidden, memory = self.cell._scan(x, step, lengths.to(x.device), state.hidden, state.memory, tied)
            after = HiPPOState(hidden, memory, start, time, seen)
        else:  # zeros, of which there are gradients as of others
            nothing = x.new_zeros(1, batch, self.cell.input_size), torch.zeros(1, batch, dtype=torch.float64)
            outputs, hidden, _ = self.cell._scan(*nothing, lengths.to(x.device), state.hidden, state.memory)
            outputs, after = outputs.expand(length, -1, -1), state._replace(hidden=hidden)
        outputs, after = own.restored(outputs, after)
        return outputs.transpose(0, 1) if self.batch_first else outputs, after

    def _initial_state(self, x: Tensor) -> HiPPOState:
        """The state of sequences x (length, batch, input_size) of which nothing was seen."""
        batch = x.shape[1]
        unknown = torch.full((batch,), math.nan, dtype=torch.float64, device=x.device)
        return HiPPOState(
            x.new_zeros(batch, self.hidden_size), x.new_zeros(batch, self.cell.memory_size, self.cell.n_states),
            unknown, unknown, x.new_zeros(batch, self.input_size),
        )  # fmt: skip
