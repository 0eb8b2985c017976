"""HiPPOSSM: a layer of diagonal state spaces whose modes begin as those of a HiPPO operator."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .._dynamics import modes
from .._measures import dynamics_of
from ._described import Described
from ._inputs import none
from ._low_rank import LowRank, run_low_rank
from ._space import (
    DISCRETIZATIONS,
    Memory,
    Space,
    check_state,
    checked,
    reversed_in_time,
    run,
    shares_of_end,
    step_of,
)
from ._steps import mind_forks

Array = NDArray[Any]

LEAST_DECAY = 1e-4  # modes that did not fade would overflow in a long training
OF_MEASURES = ("legs_lti", "legt", "fout", "lagt")
BASES = (*OF_MEASURES, "legs_lti + fout", "lin", "inv", "rand")


@lru_cache(maxsize=64)
def spectrum(measure: str, order: int) -> tuple[Array, Array]:
    """Modes of a basis, (order / 2,): lambda, slow ones first, and what enters them.

    Of a measure, A = N - V^T V with a normal N, whose eigenvalues lambda have positive and negative imaginary parts;
    here are the positive ones. What V^T V takes away is, for smooth inputs, a half of B, as long as nothing leaves a
    window.
    """
    n = np.arange(order // 2)
    if measure == "lin":
        return -0.5 + 1j * np.pi * n, np.ones(len(n))
    if measure == "inv":
        return (-0.5 + 1j * order / np.pi * (order / (2 * n + 1) - 1))[::-1], np.ones(len(n))
    if measure == "rand":
        rng = np.random.RandomState(0)
        return -0.5 + 1j * np.sort(rng.uniform(0, np.pi * order / 2, len(n))), np.ones(len(n))
    if " + " in measure:
        parts = [spectrum(part, order // 2) for part in measure.split(" + ")]
        return np.concatenate([rate for rate, _ in parts]), np.concatenate([into for _, into in parts])
    found = modes(dynamics_of(measure, order))
    entered = found.V.T @ found.b / 2
    size = np.hypot(*entered.reshape(2, -1)) / np.sqrt(2)
    return (-max(found.damping, LEAST_DECAY) + 1j * np.abs(found.frequency))[: order // 2], size[: order // 2]


def low_rank_of(measure: str, order: int) -> tuple[Array, Array, Array]:
    """All of the operator of a measure: lambda (order / 2,), V (rank, order), and B (order / 2,), complex."""
    found = modes(dynamics_of(measure, order - (measure == "fout")))  # where 1 has no partner, and all others have
    re, im = (found.V.T @ found.b).reshape(2, -1)
    return -found.damping + 1j * found.frequency, found.V, re + 1j * im


def check_order(order: int, measure: str) -> None:
    """Refuse an order that has no pairs of modes, of each basis of a mix."""
    parts = 2 * len(measure.split(" + "))
    if int(order) != order or order < parts or order % parts:
        raise ValueError(f"order must be a multiple of {parts}, got {order!r}.")


class HiPPOSSMState(NamedTuple):
    """Where a batch of sequences stands: hand it on to continue them."""

    modes: Tensor
    """(batch, order / 2, d_model), complex"""
    last: Tensor
    """(batch, d_model) last inputs; NaN where nothing has come yet"""


class HiPPOSSM(Described):
    r"""A layer of state spaces, one for each channel, whose modes begin as those of a HiPPO operator.

    Of channel h, with an input u that is known at the observations,

    .. math:: x_n' = \lambda_{nh} x_n + u, \qquad y = 2 \operatorname{Re} \sum_n C_{nh} x_n + D_h u,

    on a clock of its own, :math:`\Delta_h` for each unit of the steps. The :math:`\lambda` are eigenvalues of the
    normal part of a HiPPO operator, as in S4D [1]_ and "How to Train Your HiPPO" [2]_. A step of any length is
    :math:`x_{k+1} = E x_k + P u_k + Q u_{k+1}`.

    Parameters
    ----------
    d_model : int
        Channels.
    order : int, default=64
        Real numbers of each state, two for each complex mode; even, and for a mix a multiple of four.
    measure : str, default="legs_lti"
        What the modes are at first: those of ``"legs_lti"``, ``"legt"``, ``"fout"`` or ``"lagt"``, half of them of each
        of two (``"legs_lti + fout"``), the closed forms ``"lin"`` and ``"inv"``, or ``"rand"``, the control.
    discretization : {"foh", "zoh", "bilinear"}, default="foh"
        What the input is between observations: a broken line, for which a step is exact, so that it hardly matters how
        often a smooth signal is sampled; a constant, each value since the observation before; or the trapezoidal rule.
    low_rank : bool, default=False
        Whether the modes act on each other, with all of the operator of the measure and not its normal part alone, as
        in S4 [3]_. All steps of a sequence must be equal then.
    bidirectional : bool, default=False
        Whether each observation is also told what comes after it, by the same modes that run back from the end and are
        read by a C of their own. There is no state to go on with then.
    shortest, longest : float, default=0.001, 0.1
        Range of the :math:`\Delta_h`, log-uniform: 1/Delta is how many units of the steps are remembered, about.
    device, dtype : optional
        Of the parameters.

    Attributes
    ----------
    log_step : Tensor of shape (d_model,)
        Logarithms of :math:`\Delta`, in increasing order at first.
    log_decay, frequency : Tensor of shape (order / 2, d_model)
        :math:`\lambda` = i frequency - exp(log_decay); without ``low_rank``, no decay is less than 0.0001.
    read : Tensor of shape (order / 2, d_model, 2)
        C, with what enters the modes in it.
    through : Tensor of shape (d_model,)
        D.
    read_back : Tensor of shape (order / 2, d_model, 2)
        C of what runs back, if it is bidirectional.
    V, enter : Tensor of shape (rank, order, d_model) and (order / 2, d_model, 2)
        With ``low_rank``, :math:`z' = \lambda z - V^\top V z + B u`; V takes the real parts first.

    Notes
    -----
    Without a state, x is zero at the first observation. A sequence that is cut anywhere, its state carried over, has
    the outputs of one pass. On the CPU it is compiled, forward and backward, but for bilinear steps that differ and
    steps that need a gradient; states are not stored. Elsewhere, equal steps are a convolution, or products of chunks,
    and others a loop. With ``low_rank`` it is plain PyTorch.

    References
    ----------
    .. [1] Gu, Gupta, Goel, Ré, "On the Parameterization and Initialization of Diagonal State Space Models", NeurIPS
       2022, arXiv:2206.11893.
    .. [2] Gu, Johnson, Timalsina, Rudra, Ré, "How to Train Your HiPPO: State Space Models with Generalized Orthogonal
       Basis Projections", ICLR 2023, arXiv:2206.12037.
    .. [3] Gu, Goel, Ré, "Efficiently Modeling Long Sequences with Structured State Spaces", ICLR 2022,
       arXiv:2111.00396.

    Examples
    --------
    >>> import torch
    >>> from sklearn_hippo.nn import HiPPOSSM
    >>> layer = HiPPOSSM(8, order=16)
    >>> u, steps = torch.randn(2, 50, 8), torch.rand(2, 50)
    >>> y, state = layer(u, steps, lengths=[50, 30])
    >>> y.shape, state.modes.shape
    (torch.Size([2, 50, 8]), torch.Size([2, 8, 8]))
    """

    _compiled = True  # or plain PyTorch everywhere, to be compared with
    _told = ("order", "measure", "discretization", "low_rank", "bidirectional")

    def __init__(
        self,
        d_model: int,
        order: int = 64,
        *,
        measure: str = "legs_lti",
        discretization: str = "foh",
        low_rank: bool = False,
        bidirectional: bool = False,
        shortest: float = 0.001,
        longest: float = 0.1,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        for name, value, allowed in (
            ("measure", measure, BASES), ("discretization", discretization, DISCRETIZATIONS),
        ):  # fmt: skip
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")
        if int(d_model) != d_model or d_model < 1:
            raise ValueError(f"d_model must be an integer of at least 1, got {d_model!r}.")
        check_order(order, measure)
        if not 0 < shortest <= longest < math.inf:
            raise ValueError(f"0 < shortest <= longest is needed, got {shortest!r} and {longest!r}.")
        self.d_model, self.order = int(d_model), int(order)
        self.measure, self.discretization = measure, discretization
        self.low_rank, self.bidirectional = bool(low_rank), bool(bidirectional)
        if self.low_rank and measure not in OF_MEASURES:
            raise ValueError(f"low_rank=True is for {', '.join(map(repr, OF_MEASURES))}, got measure={measure!r}.")
        self.shortest, self.longest = float(shortest), float(longest)

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        self.log_step = parameter(self.d_model)
        self.log_decay, self.frequency = (parameter(self.order // 2, self.d_model) for _ in range(2))
        self.read = parameter(self.order // 2, self.d_model, 2)
        self.through = parameter(self.d_model)
        if self.bidirectional:
            self.read_back = parameter(self.order // 2, self.d_model, 2)
        if self.low_rank:
            self.V = parameter(len(low_rank_of(measure, self.order)[1]), self.order, self.d_model)
            self.enter = parameter(self.order // 2, self.d_model, 2)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the modes to those of the measure, and draw all else anew."""
        rate, into = (torch.as_tensor(x.copy()) for x in spectrum(self.measure, self.order))
        with torch.no_grad():
            if self.low_rank:
                rate, V, B = (torch.as_tensor(np.array(x)) for x in low_rank_of(self.measure, self.order))
                into = torch.ones(len(rate))  # B enters by itself
                self.V.copy_(V[..., None].expand_as(self.V))
                self.enter.copy_(torch.view_as_real(B)[:, None].expand_as(self.enter))
            low, high = math.log(self.shortest), math.log(self.longest)
            # In order, so that channels side by side have steps of about the same length.
            self.log_step.uniform_(low, high)
            self.log_step.copy_(self.log_step.sort().values)
            self.log_decay.copy_((-rate.real).clamp(min=self._least_decay).log()[:, None].expand_as(self.log_decay))
            self.frequency.copy_(rate.imag[:, None].expand_as(self.frequency))
            for read in (self.read, self.read_back) if self.bidirectional else (self.read,):
                nn.init.normal_(read, std=math.sqrt(0.5))
                read.mul_(into.to(read)[:, None, None])
            nn.init.normal_(self.through)

    def extra_repr(self) -> str:
        """Parameters, for the module's representation.

        Returns
        -------
        str
        """
        return (
            f"{self.d_model}, order={self.order}, measure={self.measure!r}, discretization={self.discretization!r}, "
            f"low_rank={self.low_rank}, bidirectional={self.bidirectional}, "
            f"shortest={self.shortest}, longest={self.longest}"
        )

    @property
    def _least_decay(self) -> float:
        return 1e-13 if self.low_rank else LEAST_DECAY  # V makes modes fade that do not by themselves

    def _shares_of_end(self, step: Tensor, length: int) -> Tensor:
        """What each input adds to the last output of sequences of one length and equal steps, (length, d_model)."""
        space = self._space(self.read, self.through)
        return shares_of_end(space, step_of(space, step.to(self.read.dtype)), length)

    def _space(self, read: Tensor, through: Tensor) -> Space:
        delta = self.log_step.exp()
        rate = torch.complex(-self.log_decay.exp().clamp(min=self._least_decay), self.frequency) * delta
        # The states are those of the channel's own clock, divided by its rate.
        return Space(rate, torch.view_as_complex(read) * delta, through, self.discretization)

    def _run(
        self, read: Tensor, through: Tensor, u: Tensor, step: Tensor, lengths: Tensor, memory: Memory, *, fresh: bool
    ) -> tuple[Tensor, Memory]:
        space = self._space(read, through)
        if self.low_rank:  # A = Delta (lambda - V^T V)
            delta = self.log_step.exp()
            B, C = (torch.view_as_complex(x) for x in (self.enter, read))
            system = LowRank(space.rate, self.V * delta.sqrt(), B * delta, C, through, self.discretization)
            return run_low_rank(system, u, step, lengths, memory, fresh=fresh)
        return run(space, u, step, lengths, memory, fresh=fresh, compiled=self._compiled)

    def forward(
        self, u: Tensor, step: Tensor | float | None = None, lengths: Any = None, state: HiPPOSSMState | None = None
    ) -> tuple[Tensor, HiPPOSSMState]:
        """Run over a batch.

        Parameters
        ----------
        u : Tensor of shape (batch, length, d_model)
            Inputs.
        step : Tensor of shape (batch, length), (batch,) or (), optional
            The time since the observation before; or that of all observations of a sequence, or of all sequences, where
            steps are equal; by default 1. The first step of a sequence without a state does not count.
        lengths : array-like of int of shape (batch,), optional
            By default all of ``length``.
        state : HiPPOSSMState, optional
            Where an earlier part of the same sequences ended.

        Returns
        -------
        y : Tensor of shape (batch, length, d_model)
            Zero behind a sequence's end.
        state : HiPPOSSMState
            At a sequence's end.

        Raises
        ------
        ValueError
            If shapes or lengths do not match, or a step is negative or not finite; if a state is another one's; if
            steps differ and the modes act on each other; if there is a state and the layer is bidirectional.
        """
        mind_forks()
        u, steps, lengths = checked(u, step, lengths, self.d_model, self.read.dtype)
        batch = len(u)
        if self.low_rank and steps.ndim == 2:
            raise ValueError("low_rank=True needs equal steps, one number for each sequence: resample what has others.")
        if self.bidirectional and state is not None:
            raise ValueError("A bidirectional layer reads whole sequences: it has no state to go on with.")
        fresh = state is None
        shape = (batch, self.order // 2, self.d_model)
        if state is not None:
            check_state(state, [shape, (batch, self.d_model)], u)
            new = torch.isnan(state.last[:, 0])  # of these, nothing has come yet
            if not none(new):
                return self._partly_new(u, steps, lengths, state, new)
        if state is None:
            modes = torch.zeros(shape, dtype=u.dtype.to_complex(), device=u.device)
            state = HiPPOSSMState(modes, u.new_zeros(batch, self.d_model))
        memory = Memory(*state)
        y, end = self._run(self.read, self.through, u, steps, lengths, memory, fresh=fresh)
        if self.bidirectional:
            after = torch.cat([steps[:, 1:], steps[:, :1]], dim=1) if steps.ndim == 2 else steps
            after = reversed_in_time(after, lengths) if steps.ndim == 2 else after
            back, _ = self._run(
                self.read_back, 0 * self.through, reversed_in_time(u, lengths), after, lengths, memory, fresh=True
            )
            y = y + reversed_in_time(back, lengths)
        if fresh:
            end = Memory(end.modes, torch.where((lengths > 0).to(u.device)[:, None], end.last, math.nan))
        return y, HiPPOSSMState(*end)

    def _partly_new(
        self, u: Tensor, steps: Tensor, lengths: Tensor, state: HiPPOSSMState, new: Tensor
    ) -> tuple[Tensor, HiPPOSSMState]:
        """Sequences that go on, and sequences that begin now, apart."""
        y, modes, last = torch.zeros_like(u), state.modes, state.last
        for which, goes_on in ((new, False), (~new, True)):
            rows = torch.nonzero(which)[:, 0]
            if len(rows):
                own = HiPPOSSMState(modes[rows], last[rows]) if goes_on else None
                part, end = self.forward(u[rows], steps[rows] if steps.ndim else steps, lengths[rows.cpu()], own)
                y, modes, last = (
                    x.index_copy(0, rows, done) for x, done in ((y, part), (modes, end.modes), (last, end.last))
                )
        return y, HiPPOSSMState(modes, last)
