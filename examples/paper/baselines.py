"""The recurrent networks that the paper compares with, on the base that trains the networks of the package.

Same batches, scales, schedule, checkpoints and head; another module between. PyTorch has the first two. What the others
are: MGU (arXiv:1603.09420), expRNN (1901.08428), LMU (Voelker et al., NeurIPS 2019), GRU-D (1606.01865), ODE-RNN
(1907.03907; needs torchdiffeq), Neural CDE (2005.08926; needs torchcde). All of them see the values, each channel's
last one where it is missing, which values were observed, and the times since the observations before; but for LSTMs
that tell what each of this is worth.
"""

from functools import partial
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearn_hippo._compat import Interval, StrOptions, set_parameters
from sklearn_hippo._measures import dynamics_of
from sklearn_hippo._network import Head
from sklearn_hippo._scales import median
from sklearn_hippo._targets import NetworkClassifier, NetworkRegressor
from sklearn_hippo.nn._inputs import fill
from sklearn_hippo.nn._space import last_of

UNITS = 100.0  # of time in a typical duration, so that differences of times are of order one


def patient(bias, window):
    """Gates that keep, at first for one observation or for all of a window, without which nothing is learned of it."""
    with torch.no_grad():
        bias.uniform_(1, max(window, 2)).log_()


class Batch(NamedTuple):
    """What all networks see of sequences; behind their ends, whatever it is."""

    values: Tensor  # (batch, length, n_channels)
    observed: Tensor  # the same, 1 or 0
    since: Tensor  # (batch, length) times since the observations before
    silent: Tensor  # (batch, length, n_channels) times since the channel's own observation before

    @property
    def inputs(self):
        """All in one, (batch, length, 2 * n_channels + 1)."""
        return torch.cat([self.values, self.observed, self.since[..., None]], dim=2)


class LSTM(nn.Module):
    """PyTorch's. As it comes, it forgets half of what it knows at every step, and learns nothing of long series.

    So here it keeps at first: by a forget bias of 3, or for up to the window and lets in as little, which is chrono
    initialization (arXiv:1804.11188). It is told all there is, or values alone.
    """

    def __init__(self, n_channels, hidden_size, window, *, keeps="some", told="all"):
        super().__init__()
        self.told = told
        self.rnn = nn.LSTM(n_channels if told == "values" else 2 * n_channels + 1, hidden_size, batch_first=True)
        let_in, forget, *_ = self.rnn.bias_hh_l0.detach().chunk(4)
        if keeps == "some":
            forget.fill_(3.0)
        elif keeps == "window":
            patient(forget, window)
            let_in.copy_(-forget)

    def forward(self, batch):
        # Packed sequences take longer than what is padded in batches of similar lengths.
        return self.rnn(batch.values if self.told == "values" else batch.inputs)[0]


class GRU(nn.Module):
    """PyTorch's."""

    def __init__(self, n_channels, hidden_size, window):
        super().__init__()
        self.rnn = nn.GRU(2 * n_channels + 1, hidden_size, batch_first=True)
        patient(self.rnn.bias_hh_l0[hidden_size : 2 * hidden_size], window)

    def forward(self, batch):
        return self.rnn(batch.inputs)[0]


class Steps(nn.Module):
    """Networks that are a loop over observations: `begin` a state, `step` it, and its hidden part is the output."""

    def forward(self, batch):
        outputs = []
        state = self.begin(batch)
        for row in zip(*(part.unbind(1) for part in self.read(batch)), strict=True):
            state = self.step(state, *row)
            outputs.append(state[0])
        return torch.stack(outputs, dim=1)

    def begin(self, batch):
        return (batch.values.new_zeros(len(batch.values), self.hidden_size),)

    def read(self, batch):
        """What steps need of every observation, as far as it does not depend on the state."""
        return (self.of_inputs(batch.inputs),)


class MGU(Steps):
    """Minimal gated unit: one gate forgets and lets in."""

    def __init__(self, n_channels, hidden_size, window):
        super().__init__()
        self.hidden_size = hidden_size
        self.of_inputs = nn.Linear(2 * n_channels + 1, 2 * hidden_size)
        self.gate = nn.Linear(hidden_size, hidden_size, bias=False)
        self.candidate = nn.Linear(hidden_size, hidden_size, bias=False)
        patient(self.of_inputs.bias[:hidden_size], window)

    def step(self, state, x):
        (h,) = state
        to_gate, to_candidate = x.chunk(2, dim=1)
        keep = torch.sigmoid(to_gate + self.gate(h))
        return (torch.lerp(torch.tanh(to_candidate + self.candidate((1 - keep) * h)), h, keep),)


class ExpRNN(Steps):
    """Orthogonal recurrence, as the exponential of a skew matrix, and modReLU; it begins as rotations of pairs.

    That is ``torch.nn.utils.parametrizations.orthogonal(linear, orthogonal_map="matrix_exp")``, which no checkpoint can
    keep: modules with PyTorch's parametrizations are not pickled.
    """

    def __init__(self, n_channels, hidden_size, window):
        super().__init__()
        self.hidden_size = hidden_size
        self.of_inputs = nn.Linear(2 * n_channels + 1, hidden_size)
        self.rotation = nn.Parameter(torch.zeros(hidden_size, hidden_size))
        first = torch.arange(0, hidden_size - 1, 2)
        with torch.no_grad():  # tan(u / 2) of angles u up to a quarter turn, as its authors draw them
            self.rotation[first + 1, first] = torch.tan(torch.rand(len(first)) * torch.pi / 4)
        self.threshold = nn.Parameter(torch.zeros(hidden_size))

    def begin(self, batch):
        rotation = self.rotation.tril(-1)
        return *super().begin(batch), torch.linalg.matrix_exp(rotation - rotation.T)

    def step(self, state, x):
        h, weight = state
        z = x + F.linear(h, weight)
        return torch.sign(z) * F.relu(z.abs() + self.threshold), weight


class LMU(Steps):
    """Legendre memory unit: as many coefficients as hidden units, a window of so many observations."""

    def __init__(self, n_channels, hidden_size, window):
        super().__init__()
        self.hidden_size = hidden_size
        self.of_inputs = nn.Linear(2 * n_channels + 1, 1 + hidden_size)
        self.of_state = nn.Linear(2 * hidden_size, 1, bias=False)
        self.hidden = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        nn.init.zeros_(self.of_state.weight[:, hidden_size:])
        dynamics = dynamics_of("lmu", hidden_size)
        block = torch.zeros(hidden_size + 1, hidden_size + 1, dtype=torch.float64)
        block[:-1] = torch.as_tensor([[*row, b] for row, b in zip(dynamics.A, dynamics.B, strict=True)]) / window
        step = torch.linalg.matrix_exp(block)[:-1].float()
        self.register_buffer("A", step[:, :-1])
        self.register_buffer("B", step[:, -1])

    def begin(self, batch):
        (h,) = super().begin(batch)
        return h, h

    def step(self, state, x):
        h, m = state
        own = torch.cat([h, m], dim=1)
        m = m @ self.A.T + (x[:, :1] + self.of_state(own)) * self.B
        return torch.tanh(x[:, 1:] + self.hidden(torch.cat([h, m], dim=1))), m


class GRUD(Steps):
    """GRU whose inputs decay to the mean, and whose hidden state decays, each at a rate of its own."""

    def __init__(self, n_channels, hidden_size, window):
        super().__init__()
        self.hidden_size = hidden_size
        # A channel's decay depends on its own silence; it begins with some, as nothing is learned where relu is flat.
        self.of_values = nn.Parameter(torch.stack([torch.rand(n_channels) / UNITS, torch.zeros(n_channels)]))
        self.of_hidden = nn.Linear(n_channels, hidden_size)
        self.cell = nn.GRUCell(2 * n_channels, hidden_size)
        nn.init.zeros_(self.of_hidden.bias)
        patient(self.cell.bias_hh[hidden_size : 2 * hidden_size], window)

    def read(self, batch):
        rate, bias = self.of_values
        keep = torch.exp(-F.relu(rate * batch.silent + bias))
        values = batch.values * torch.where(batch.observed > 0, 1.0, keep)
        return torch.cat([values, batch.observed], dim=2), torch.exp(-F.relu(self.of_hidden(batch.silent)))

    def step(self, state, x, keep):
        return (self.cell(x, keep * state[0]),)


class ODERNN(Steps):
    """GRU whose hidden state follows a differential equation between observations; one step of Euler's method each."""

    def __init__(self, n_channels, hidden_size, window):
        super().__init__()
        from torchdiffeq import odeint

        self.odeint, self.hidden_size = odeint, hidden_size
        self.rate = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.Tanh(), nn.Linear(hidden_size, hidden_size))
        self.cell = nn.GRUCell(2 * n_channels, hidden_size)
        self.register_buffer("span", torch.tensor([0.0, 1.0]))
        patient(self.cell.bias_hh[hidden_size : 2 * hidden_size], window)

    def read(self, batch):
        return torch.cat([batch.values, batch.observed], dim=2), batch.since[..., None] / UNITS

    def step(self, state, x, since):  # sequences have steps of their own: each runs through a unit of another length
        h = self.odeint(lambda t, h: since * self.rate(h), state[0], self.span.to(x.dtype), method="euler")[-1]
        return (self.cell(x, h),)


class NeuralCDE(nn.Module):
    """Controlled by the straight lines through time, values and how often a channel was observed."""

    def __init__(self, n_channels, hidden_size, window):
        super().__init__()
        self.width = hidden_size, 2 * n_channels + 1
        self.begin = nn.Linear(2 * n_channels + 1, hidden_size)
        self.inner = nn.Linear(hidden_size, hidden_size)
        self.outer = nn.Linear(hidden_size, hidden_size * (2 * n_channels + 1))

    def forward(self, batch):
        from torchcde import LinearInterpolation, cdeint, linear_interpolation_coeffs

        counts = batch.observed.cumsum(dim=1) / UNITS
        path = torch.cat([batch.since.cumsum(dim=1)[..., None] / UNITS, batch.values, counts], dim=2)
        begin = self.begin(path[:, 0])
        if path.shape[1] == 1:
            return begin[:, None]
        lines = LinearInterpolation(linear_interpolation_coeffs(path))
        options = {"step_size": 1.0, "perturb": True}  # a step for each line, and no kink within
        return cdeint(lines, self.field, begin, lines.grid_points, adjoint=False, method="midpoint", options=options)

    def field(self, t, z):
        return torch.tanh(self.outer(F.relu(self.inner(z)))).unflatten(-1, self.width)


CELLS = {
    "lstm": LSTM, "gru": GRU, "mgu": MGU, "exprnn": ExpRNN, "lmu": LMU, "gru-d": GRUD, "ode-rnn": ODERNN,
    "neural cde": NeuralCDE, "plain lstm": partial(LSTM, keeps="nothing", told="values"),
    "lstm, forgetful": partial(LSTM, keeps="nothing"), "lstm, of values": partial(LSTM, told="values"),
    "lstm, chrono": partial(LSTM, keeps="window"),
}  # fmt: skip


class Network(Head):
    """One of them, and a linear map of its last hidden state."""

    def __init__(self, n_outputs, input_size, hidden_size, cell, *, window, dropout, timescale):
        super().__init__()
        self.timescale = timescale
        self.sequence = CELLS[cell](input_size, hidden_size, window)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, n_outputs)

    def hidden(self, x, lengths, times=None, *, every=False):
        """Last hidden states (batch, hidden_size), or those after every observation (n_observations, hidden_size)."""
        inside = torch.arange(x.shape[1], device=x.device) < lengths.to(x.device)[:, None]
        outputs = self.sequence(self.read(x, inside, times))
        return outputs[inside] if every else last_of(outputs, lengths, x.new_zeros(len(x), outputs.shape[2]))

    def read(self, x, inside, times):
        """Sequences as the networks see them."""
        batch, length, n_channels = x.shape
        before = x.new_zeros(batch, n_channels)
        filled, _ = fill(x.transpose(0, 1), inside.T, None, before, None, with_mask=True)
        values, observed = filled.transpose(0, 1).chunk(2, dim=2)
        row = torch.arange(length, device=x.device, dtype=torch.float64)
        times = UNITS / self.timescale * (row.expand(batch, length) if times is None else times)
        times = torch.where(inside, times - times[:, :1], 0.0)
        since = torch.where(inside, times.diff(dim=1, prepend=times[:, :1]), 0.0)
        latest = torch.where(observed > 0, times[..., None], 0.0).cummax(dim=1).values
        silent = times[..., None] - torch.cat([torch.zeros_like(latest[:, :1]), latest[:, :-1]], dim=1)
        silent = torch.where(inside[..., None], silent, 0.0)
        return Batch(values, observed, since.to(x.dtype), silent.to(x.dtype))


class _Baseline:
    """The module and its parameters."""

    _module = Network
    measure = "a network"

    def _learn_timescale(self, panel, weights):
        self._window = median(panel.lengths.astype(float), weights)
        return super()._learn_timescale(panel, weights)

    def _param_groups(self):
        """Orthogonal matrices are trained ten times as slowly, as its authors do."""
        return [("sequence.rotation", {"lr": self.lr / 10})]

    def _module_params(self):
        return {
            "module__n_outputs": self._n_outputs(),
            "module__input_size": self.n_channels_,
            "module__hidden_size": int(self.hidden_size),
            "module__cell": self.cell,
            "module__window": self._window,
            "module__dropout": self.dropout,
            "module__timescale": self.timescale_,
        }


_CONSTRAINTS = {
    "cell": [StrOptions(set(CELLS))],
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
}


class BaselineClassifier(_Baseline, NetworkClassifier):
    """Classify series with one of them; the parameters are those of `HiPPORNNClassifier`, with its defaults."""

    _parameter_constraints = NetworkClassifier._parameter_constraints | _CONSTRAINTS

    def __init__(
        self, cell="lstm", hidden_size=64, *, timescale=None, missing_indicator="auto", standardize=True, dropout=0.0,
        max_epochs=50, lr=0.01, schedule="cosine", weight_decay=0.0, batch_size=16, max_grad_norm=1.0,
        class_weight=None, early_stopping="auto", validation_fraction=0.1, n_iter_no_change=10, warm_start=False,
        checkpoint=None, net_params=None, verbose=0, random_state=None, device=None,
    ):  # fmt: skip
        set_parameters(self, locals())


class BaselineRegressor(_Baseline, NetworkRegressor):
    """Predict numbers from series with one of them."""

    _parameter_constraints = NetworkRegressor._parameter_constraints | _CONSTRAINTS

    def __init__(
        self, cell="lstm", hidden_size=64, *, timescale=None, missing_indicator="auto", standardize=True, dropout=0.0,
        max_epochs=50, lr=0.01, schedule="cosine", weight_decay=0.0, batch_size=16, max_grad_norm=1.0,
        early_stopping="auto", validation_fraction=0.1, n_iter_no_change=10, warm_start=False, checkpoint=None,
        net_params=None, verbose=0, random_state=None, device=None,
    ):  # fmt: skip
        set_parameters(self, locals())
