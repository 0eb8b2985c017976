"""An LSTM on the base that trains the networks of the package: same batches, scales, schedule and checkpoints."""

from numbers import Integral

import torch
from torch import nn

from sklearn_hippo._compat import Interval, set_parameters
from sklearn_hippo._network import Head
from sklearn_hippo._targets import NetworkClassifier
from sklearn_hippo.nn._inputs import fill
from sklearn_hippo.nn._space import last_of

UNITS = 100.0  # of time in a typical duration, so that differences of times are of order one


class Network(Head):
    """An LSTM over values, the times since the observations before, and what was observed; a map of its last state."""

    def __init__(self, n_outputs, input_size, hidden_size, *, dropout, timescale):
        super().__init__()
        self.timescale = timescale
        self.lstm = nn.LSTM(2 * input_size + 1, hidden_size, batch_first=True)
        with torch.no_grad():  # at first it forgets little, without which it learns nothing of long series
            self.lstm.bias_hh_l0[hidden_size : 2 * hidden_size] = 3.0
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, n_outputs)

    def hidden(self, x, lengths, times=None, *, every=False):
        """Last hidden states (batch, hidden_size), or those after every observation (n_observations, hidden_size)."""
        batch, length, n_channels = x.shape
        row = torch.arange(length, device=x.device)
        inside = row < lengths.to(x.device)[:, None]
        before = x.new_zeros(batch, n_channels)
        values, _ = fill(x.transpose(0, 1), inside.T, None, before, None, with_mask=True)
        times = row.double().expand(batch, length) if times is None else times
        since = UNITS * times.diff(dim=1, prepend=times[:, :1]) / self.timescale
        since = torch.where(inside, since, 0.0).to(x.dtype)
        inputs = torch.cat([values.transpose(0, 1), since[..., None]], dim=2)
        outputs, _ = self.lstm(inputs)  # packed sequences take longer than what is padded in batches of similar lengths
        return outputs[inside] if every else last_of(outputs, lengths, x.new_zeros(batch, outputs.shape[2]))


class LSTMClassifier(NetworkClassifier):
    """Classify series with an LSTM; the parameters are those of `HiPPORNNClassifier`, with its defaults."""

    _parameter_constraints = {  # noqa: RUF012  scikit-learn's convention
        **NetworkClassifier._parameter_constraints,
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
    }
    _module = Network
    measure = "an LSTM"

    def __init__(
        self, hidden_size=64, *, timescale=None, missing_indicator="auto", standardize=True, dropout=0.0, max_epochs=50,
        lr=0.01, schedule="cosine", weight_decay=0.0, batch_size=16, max_grad_norm=1.0, class_weight=None,
        early_stopping="auto", validation_fraction=0.1, n_iter_no_change=10, warm_start=False, checkpoint=None,
        net_params=None, verbose=0, random_state=None, device=None,
    ):  # fmt: skip
        set_parameters(self, locals())

    def _module_params(self):
        return {
            "module__n_outputs": self._n_outputs(),
            "module__input_size": self.n_channels_,
            "module__hidden_size": int(self.hidden_size),
            "module__dropout": self.dropout,
            "module__timescale": self.timescale_,
        }
