import copy
import functools
import itertools
import json
import math
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import DYNAMICS
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_hippo import HiPPOMemory
from sklearn_hippo._dynamics import modes

torch = pytest.importorskip("torch")

from sklearn_hippo.nn import HiPPOCell, HiPPORNN, HiPPOState, _gated, _steps  # noqa: E402

pytestmark = pytest.mark.usefixtures("simd")  # every test, under every instruction set

GATES = ["mgu", "timed", "gru", None]
TIMESCALE = 3.0


def make(measure="legs", gate="mgu", discretization="bilinear", dtype=torch.float64, seed=0, order=5, **params):
    torch.manual_seed(seed)
    own = {"timescale": None if measure == "legs" else TIMESCALE, "memory_size": 2} | params
    rnn = HiPPORNN(3, 4, measure=measure, order=order, gate=gate, discretization=discretization, dtype=dtype, **own)
    with torch.no_grad():  # so that no block of weights is without effect
        for parameter in rnn.cell.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=dtype) / 2)
    return rnn


def batch(seed=0, length=9, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(6, length, 3, dtype=torch.float64, generator=generator).to(dtype)
    times = torch.rand(6, length, dtype=torch.float64, generator=generator).cumsum(dim=1)
    times[1, 3] = times[1, 2]  # a tie
    return x, times, [length, 5, 1, length - 2, 2, length]


def weights_of(cell):
    names = ("weight_ux", "weight_uh", "bias_u", "weight_x", "weight_c", "bias", "weight_h")
    return [None if getattr(cell, n) is None else getattr(cell, n).detach().double().numpy() for n in names]


def plain(monkeypatch):
    """No compiled recurrence."""
    monkeypatch.setattr(_gated, "COMPILED_GATES", {})


# --- what it computes ----------------------------------------------------------------------------------


FORK = """
import os, signal, sys, warnings
import torch
from sklearn_hippo.nn import HiPPORNN
warnings.filterwarnings("ignore")  # newer Pythons warn of forks beside threads
torch.set_num_threads(2)
torch.manual_seed(0)
networks = [HiPPORNN(3, 32), HiPPORNN(3, 32, gate="gru")]  # compiled, and in plain PyTorch
x = torch.randn(64, 20, 3)

def work():
    with torch.no_grad():
        return [network(x)[0] for network in networks]

before = work()
child = os.fork()
if child == 0:
    signal.alarm(40)  # the end of what waits for ever
    same = all(torch.allclose(a, b, atol=1e-6) for a, b in zip(work(), before))
    os._exit(0 if same and torch.get_num_threads() == 1 else 3)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(status or torch.get_num_threads() != 2)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_process_goes_on_with_one_thread():
    done = subprocess.run([sys.executable, "-c", FORK], timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("measure", DYNAMICS)
@pytest.mark.parametrize("order", [1, 2, 7, 32, 65])
def test_modes_are_the_dynamics_in_other_coordinates(measure, order):
    dynamics = DYNAMICS[measure](order)
    assert_allclose(dynamics.A, oracles.dynamics(measure, order)[0], rtol=1e-12)
    if measure == "rand":
        assert dynamics.V is None
        return
    m = modes(dynamics)
    turn, n = np.diag(m.frequency), len(m.frequency)
    D = np.block([[np.zeros((n, n)), -turn], [turn, np.zeros((n, n))]]) - m.damping * np.eye(2 * n)
    scale = np.abs(dynamics.A).max()
    assert_allclose(m.out @ (D - m.V.T @ m.V) @ m.into, dynamics.A, atol=1e-13 * scale)
    assert_allclose(m.out @ m.V.T @ m.b, dynamics.B, atol=1e-13 * scale)
    assert_allclose(m.out @ m.into, np.eye(len(dynamics.B)), atol=1e-13)


@pytest.mark.parametrize("discretization", _steps.DISCRETIZATIONS)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("measure", DYNAMICS)
def test_outputs_match_dense_algebra(measure, gate, discretization):
    rnn = make(measure, gate, discretization)
    x, times, lengths = batch()
    outputs, state = rnn(x, times, lengths)
    for i, length in enumerate(lengths):
        hidden, memories = oracles.gated(
            measure, 5, x[i, :length].numpy(), times[i, :length].numpy(), weights_of(rnn.cell), gate, discretization,
            TIMESCALE,
        )  # fmt: skip
        assert_allclose(outputs[i, :length].detach(), hidden, atol=1e-12)
        assert not outputs[i, length:].any()
        assert_allclose(state.hidden[i].detach(), hidden[-1], atol=1e-12)
        assert_allclose(state.memory[i].detach(), memories[-1], atol=1e-12 * max(1, np.abs(memories[-1]).max()))


@pytest.mark.parametrize(("measure", "discretization"), [("rand", "bilinear"), ("legt", "zoh"), ("legs", "zoh")])
def test_matrices_of_all_steps_or_of_one_time_at_a_time(monkeypatch, measure, discretization):
    rnn, (x, times, lengths) = make(measure, discretization=discretization), batch()
    made = [step.clone() for step in rnn(x, times, lengths)[0]]
    rnn(x, times, lengths)[0].square().sum().backward()
    grad = rnn.cell.weight_c.grad.clone()
    monkeypatch.setattr(_steps, "TABLE", 0)
    rnn.zero_grad()
    outputs = rnn(x, times, lengths)[0]
    outputs.square().sum().backward()
    assert torch.allclose(outputs, torch.stack(made), rtol=1e-12, atol=1e-14)
    assert torch.allclose(rnn.cell.weight_c.grad, grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gate", ["mgu", "timed", None])
@pytest.mark.parametrize("order", [1, 16, 37])
@pytest.mark.parametrize("timescale", [3.0, 300.0])  # few of the modes are slow, or all
def test_compiled_and_plain_recurrences_agree(monkeypatch, dtype, gate, order, timescale):
    rnn = make("legt", gate, dtype=dtype, order=order, timescale=timescale, learn_timescale=True)
    x, times, lengths = batch(dtype=dtype)
    results = []
    for _ in range(2):
        rnn.zero_grad()
        outputs, state = rnn(x, times, lengths)
        (outputs.square().sum() + state.memory.sum()).backward()
        results.append([outputs, *state, *(p.grad.clone() for p in rnn.parameters())])
        plain(monkeypatch)
    for compiled, other in zip(*results, strict=True):
        scale = other.nan_to_num().abs().max().item() + 1
        assert_allclose(compiled.detach(), other.detach(), atol=scale * (2e-5 if dtype == torch.float32 else 1e-12))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rows", "hidden", "order"), [(1, 24, 24), (19, 57, 50), (34, 96, 32)])
def test_compiled_products_of_every_size(monkeypatch, dtype, rows, hidden, order):
    torch.manual_seed(0)
    rnn = HiPPORNN(2, hidden, order=order, memory_size=2, dtype=dtype)
    x = torch.randn(rows, 5, 2, dtype=dtype)
    lengths = torch.arange(rows) % 5 + 1
    results = []
    for _ in range(2):
        rnn.zero_grad()
        rnn(x, None, lengths)[0].square().sum().backward()
        results.append([p.grad.clone() for p in rnn.parameters()])
        plain(monkeypatch)
    for compiled, other in zip(*results, strict=True):
        scale = other.abs().max().item() + 1
        assert_allclose(compiled, other, atol=scale * (1e-5 if dtype == torch.float32 else 1e-13))


def remembering(measure, order, dtype, discretization="zoh"):
    """A network whose memory is fed with its input."""
    timescale = None if measure == "legs" else TIMESCALE
    rnn = HiPPORNN(1, 2, measure=measure, order=order, discretization=discretization, timescale=timescale, dtype=dtype)
    with torch.no_grad():
        rnn.cell.weight_ux.fill_(1)
        rnn.cell.weight_uh.zero_()
    return rnn


@pytest.mark.parametrize("measure", [m for m in DYNAMICS if m not in ("lmu", "rand")])
@pytest.mark.parametrize("order", [1, 8, 32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_memory_is_that_of_hippo_memory(measure, order, dtype):
    rng = np.random.default_rng(0)
    times, x = 7 + np.cumsum(rng.uniform(0.01, 0.5, 50)), rng.normal(size=50).astype(np.float32)
    timescale = None if measure == "legs" else TIMESCALE
    memory = HiPPOMemory(measure, order, timescale=timescale, interpolation="hold")
    if measure != "legs":  # the first value was there for ever: twice, for the cell between is what lasts
        memory.update([x[0], x[0]], [times[0] - 1e5 * TIMESCALE, times[0] - 0.5])
    memory.update(x, times)
    rnn = remembering(measure, order, dtype)
    with torch.no_grad():
        own = rnn(torch.tensor(x, dtype=dtype)[None, :, None], torch.tensor(times)[None])[1].memory[0, 0, :order]
    assert_allclose(own, memory.coefficients_[0, 0], atol=1e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("measure", DYNAMICS)
@pytest.mark.parametrize("gate", GATES)
def test_a_cell_makes_the_steps_of_the_network(measure, gate):
    rnn = make(measure, gate)
    x, times, _ = batch()
    times[1, 3] += 0.1 * (times[1, 4] - times[1, 3])  # of a stamp each
    outputs, final = rnn(x, times)
    elapsed = times - (2 * times[:, :1] - times[:, 1:2])
    before = torch.cat([0 * elapsed[:, :1], elapsed[:, :-1]], dim=1)
    steps = torch.log(elapsed / before) if measure == "legs" else (elapsed - before) / TIMESCALE
    steps[:, 0] = math.inf
    state = None
    for t in range(x.shape[1]):
        state = rnn.cell(x[:, t], steps[:, t], state)
        assert_allclose(state[0].detach(), outputs[:, t].detach(), atol=1e-12)
    assert_allclose(state[1].detach(), final.memory.detach(), atol=1e-11)


# --- gradients -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["compiled", "plain"])
@pytest.mark.parametrize("discretization", ["bilinear", "backward", "zoh"])
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("measure", ["legs", "legt", "lagt", "rand"])
def test_gradients(monkeypatch, measure, gate, discretization, way):
    if way == "plain":
        plain(monkeypatch)
    rnn = make(measure, gate, discretization, order=3, learn_timescale=measure != "legs")
    x, times, lengths = batch(length=4)
    x, times, lengths = x[:3].requires_grad_(), times[:3], [4, 2, 1]
    names = [name for name, _ in rnn.named_parameters()]
    n_states = rnn.cell.n_states
    hidden = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(3, 2, n_states, dtype=torch.float64, requires_grad=True)

    def run(x, hidden, memory, *parameters):
        own = dict(zip(names, parameters, strict=True))
        earlier = HiPPOState(hidden, memory, times[:, 0] - 2, times[:, 0] - 1, torch.zeros(3, 3, dtype=torch.float64))
        outputs, state = torch.func.functional_call(rnn, own, (x, times, lengths, None, earlier))
        fresh, _ = torch.func.functional_call(rnn, own, (x, times, lengths))
        return outputs, state.hidden, state.memory, fresh

    assert torch.autograd.gradcheck(run, (x, hidden, memory, *rnn.parameters()), fast_mode=True)


@pytest.mark.parametrize("gate", ["mgu", "timed", None])
def test_second_derivatives(gate):
    rnn = make("legt", gate, order=3, learn_timescale=True)
    x, times, _ = batch()
    x, times = x[:2, :3].requires_grad_(), times[:2, :3]
    names = [name for name, _ in rnn.named_parameters()]

    def run(x, *parameters):
        own = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(rnn, own, (x, times, [3, 2]))[0]

    assert torch.autograd.gradgradcheck(run, (x, *rnn.parameters()), fast_mode=True)


def test_the_gradient_of_early_inputs_decays_as_one_over_time():
    # Proposition 5: under LegS, the derivative of the memory by an input at time s is of the order of 1 / t.
    rnn = remembering("legs", 16, torch.float64)
    norms = []
    lengths = [50, 100, 200, 400, 800]
    for length in lengths:
        x = torch.randn(1, length, 1, dtype=torch.float64, requires_grad=True)
        memory = rnn(x)[1].memory[0, 0]
        rows = [torch.autograd.grad(one, x, retain_graph=True)[0][0, length // 20, 0] for one in memory]
        norms.append(math.hypot(*rows))
    slope = np.polyfit(np.log(lengths), np.log(norms), 1)[0]
    assert slope == pytest.approx(-1, abs=0.05)
    # under an exponential weight it vanishes exponentially
    lagt = remembering("lagt", 4, torch.float64, "bilinear")
    x = torch.randn(1, 400, 1, dtype=torch.float64, requires_grad=True)
    (early,) = torch.autograd.grad(lagt(x)[1].memory.sum(), x)
    assert early[0, 5].abs() < 1e-12 * early[0, -1].abs()


# --- sequences -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("measure", ["legs", "fout"])
def test_outputs_do_not_depend_on_the_batch_or_its_padding(measure, gate):
    rnn = make(measure, gate, dtype=torch.float32)
    x, times, lengths = batch(dtype=torch.float32)
    for i, length in enumerate(lengths):
        x[i, length:], times[i, length:] = math.nan, -1e9
    outputs, state = rnn(x, times, lengths)
    for i, length in enumerate(lengths):
        alone, own = rnn(x[i : i + 1, :length], times[i : i + 1, :length])
        assert_allclose(outputs[i, :length].detach(), alone[0].detach(), atol=1e-6)
        assert_allclose(state.memory[i].detach(), own.memory[0].detach(), atol=1e-5)
    if measure == "legs":  # nor does a timestamp of zero reset anything
        times[0] -= times[0, 0].clone()
        again, _ = rnn(x, times, lengths)
        assert_array_equal(again[1:].detach(), outputs[1:].detach())


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=6),
    cut=st.integers(1, 7),
    measure=st.sampled_from(sorted(DYNAMICS)),
    gate=st.sampled_from(GATES),
    discretization=st.sampled_from(_steps.DISCRETIZATIONS),
    seed=st.integers(0, 100),
)
def test_parts_continue_as_the_whole(lengths, cut, measure, gate, discretization, seed):
    rnn = make(measure, gate, discretization, seed=seed)
    lengths = [length + cut for length in lengths]  # every sequence goes on behind the cut
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    x = torch.randn(len(lengths), longest, 3, dtype=torch.float64, generator=generator)
    x[torch.rand(x.shape, generator=generator) < 0.2] = math.nan
    times = 0.1 + torch.rand(len(lengths), longest, dtype=torch.float64, generator=generator)
    times = times.cumsum(dim=1)
    whole, final = rnn(x, times, lengths)
    first, state = rnn(x[:, :cut], times[:, :cut])
    second, end = rnn(x[:, cut:], times[:, cut:], [length - cut for length in lengths], None, state)
    assert_allclose(torch.cat([first, second], dim=1).detach(), whole.detach(), rtol=0, atol=1e-12)
    for a, b in zip(final, end, strict=True):
        scale = 1 + b.detach().nan_to_num().abs().max().item()
        assert_allclose(a.detach(), b.detach(), rtol=0, atol=1e-12 * scale)


def test_regular_times_are_no_times_and_legs_does_not_see_the_unit():
    rnn = make()
    x, times, lengths = batch()
    regular = torch.arange(9.0)
    assert_array_equal(rnn(x, regular, lengths)[0].detach(), rnn(x, None, lengths)[0].detach())
    assert_allclose(rnn(x, 60 * times + 1e6, lengths)[0].detach(), rnn(x, times, lengths)[0].detach(), atol=1e-6)
    timed = make(gate="timed")
    assert_allclose(timed(x, 4 * times, lengths)[0].detach(), timed(x, times, lengths)[0].detach(), atol=1e-12)


@pytest.mark.parametrize("measure", ["legs", "lagt"])
def test_the_timed_gate_does_not_see_the_sampling_rate(measure):
    def ends(gate):
        rnn = make(measure, gate, order=8, timescale=None if measure == "legs" else 0.3)
        with torch.no_grad():
            rnn.cell.weight_c /= 10
        for length in (200, 400, 800, 1600):
            t = torch.linspace(0, 1, length + 1, dtype=torch.float64)[1:]
            x = torch.stack([torch.sin(15 * t), torch.cos(9 * t), t], dim=1)[None]
            yield rnn(x, t[None])[1].hidden.detach()

    timed = [(a - b).abs().max().item() for a, b in itertools.pairwise(ends("timed"))]
    assert timed[2] < 0.6 * timed[1] < 0.4 * timed[0] < 0.01


def test_missing_channels_keep_their_last_value():
    rnn = make(mask_input=False)
    told = make(mask_input=True)
    x = torch.tensor([[[math.nan, 1, 1], [2, math.nan, 1], [math.nan, math.nan, 1]]], dtype=torch.float64)
    held = torch.tensor([[[0, 1, 1], [2, 1, 1], [2, 1, 1]]], dtype=torch.float64)
    assert_array_equal(rnn(x)[0].detach(), rnn(held)[0].detach())
    mask = ~torch.isnan(x)
    assert_array_equal(told(x)[0].detach(), told(held, mask=mask)[0].detach())
    assert not torch.equal(told(x)[0], told(held)[0])
    assert told.cell.input_size == 6


def test_packed_and_length_first_sequences():
    rnn, turned = make(), make(batch_first=False)
    x, times, lengths = batch()
    outputs, state = rnn(x, times, lengths)
    other, _ = turned(x.transpose(0, 1), times.T, lengths)
    assert_array_equal(other.transpose(0, 1).detach(), outputs.detach())
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed_outputs, packed_state = rnn(packed, times)
    unpacked, _ = torch.nn.utils.rnn.pad_packed_sequence(packed_outputs, batch_first=True)
    assert_array_equal(unpacked.detach(), outputs.detach())
    assert_array_equal(packed_state.memory.detach(), state.memory.detach())


def test_packed_sequences_keep_their_order():
    rnn = make()
    x = [torch.randn(4, 3, dtype=torch.float64) for _ in range(20)]
    packed = torch.nn.utils.rnn.pack_sequence(x)
    outputs, _ = rnn(packed)
    assert outputs.sorted_indices is None
    assert_allclose(outputs.data[:20].detach(), rnn(torch.stack(x))[0][:, 0].detach(), atol=1e-14)


def test_long_inference_is_the_same_and_inference_leaves_no_trace():
    rnn = make(order=11)
    x = torch.randn(3, 300, 3, dtype=torch.float64)
    with torch.inference_mode():
        outputs, state = rnn(x, None, [40, 300, 256])
    again, other = rnn(x, None, [40, 300, 256])
    assert_allclose(outputs, again.detach(), atol=1e-12)
    assert_allclose(state.memory, other.memory.detach(), atol=1e-11)
    again.sum().backward()


@pytest.mark.parametrize("gate", ["mgu", "timed", None])
def test_gradients_by_times_also_at_ties(gate):
    rnn = make("legt", gate, order=3)
    x, _, _ = batch(length=5)

    def run(steps):
        state = None
        for t in range(3):
            state = rnn.cell(x[:, t], steps[:, t], state)
        return state

    steps = torch.tensor([[0.5, 0.0, 0.2]] * 6, dtype=torch.float64)

    def numerically(k, h):  # one-sided: a step is not negative
        moved = steps.clone()
        moved[:, k] += h
        return run(moved)[0].sum()

    steps.requires_grad_()
    (gradient,) = torch.autograd.grad(run(steps)[0].sum(), steps)
    steps = steps.detach()
    for k in range(3):
        slope = (4 * numerically(k, 1e-6) - 3 * numerically(k, 0) - numerically(k, 2e-6)) / 2e-6
        assert gradient[:, k].sum().item() == pytest.approx(slope.item(), rel=1e-3, abs=1e-5)


def test_gradients_of_any_layout_and_the_memory_they_hold():
    rnn = make()
    x, _, _ = batch()
    _, state = rnn(x)
    torch.einsum("bh,bk->hk", state.hidden, torch.randn(6, 5, dtype=torch.float64)).square().sum().backward()
    loss = rnn(x)[0].sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


def test_endless_steps_forget():
    for dtype in (torch.float32, torch.float64):
        rnn = remembering("lagt", 4, dtype, "backward")
        x = torch.tensor([[1.0, 2.0, 3.0]], dtype=dtype)[..., None]
        memory = rnn(x, torch.tensor([[0.0, 1.0, 1e25]], dtype=torch.float64))[1].memory
        assert_allclose(memory.detach()[0, 0], [3, 0, 0, 0], atol=1e-6)


def test_inputs_are_not_changed_and_modules_travel():
    rnn = make("legt", learn_timescale=True)
    x, times, lengths = batch()
    x[0, 0, 0] = math.nan
    before = x.clone(), times.clone()
    outputs, _ = rnn(x, times, lengths)
    assert torch.equal(torch.nan_to_num(x), torch.nan_to_num(before[0]))
    assert torch.equal(times, before[1])
    for copied in (copy.deepcopy(rnn), pickle.loads(pickle.dumps(rnn))):
        assert_array_equal(copied(x, times, lengths)[0].detach(), outputs.detach())
    other = make("legt", seed=1, learn_timescale=True)
    other.load_state_dict(rnn.state_dict())
    assert_array_equal(other(x, times, lengths)[0].detach(), outputs.detach())
    # no table of any transition is stored
    stored = [p for p in rnn.state_dict().values() if p.is_floating_point()]
    assert sum(p.numel() for p in stored) == sum(p.numel() for p in rnn.parameters())
    assert rnn.float().double().timescale == pytest.approx(TIMESCALE, rel=1e-7)
    assert "measure='legt'" in repr(rnn)


def test_threads_share_a_network():
    rnn = make(dtype=torch.float32)
    x, times, lengths = batch(dtype=torch.float32)
    expected = rnn(x, times, lengths)[0].detach()
    found = []

    def work():
        for _ in range(20):
            found.append(torch.equal(rnn(x, times, lengths)[0].detach(), expected))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 80
    assert all(found)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_number_of_threads_changes_nothing(n_threads):
    before = torch.get_num_threads()
    rnn = make()
    x = torch.randn(33, 12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    try:
        torch.set_num_threads(n_threads)
        outputs, _ = rnn(x)
    finally:
        torch.set_num_threads(before)
    alone = torch.cat([rnn(one[None])[0] for one in x])
    assert_allclose(outputs.detach(), alone.detach(), atol=1e-13)


def test_fout_keeps_whole_harmonics():
    assert HiPPOCell(1, 2, measure="fout", order=4).n_states == 5
    assert HiPPOCell(1, 2, measure="fout", order=5).n_states == 5


def test_the_timescale_can_be_learned():
    torch.manual_seed(2)
    rnn = HiPPORNN(1, 4, measure="lagt", order=4, timescale=20.0, learn_timescale=True)
    head = torch.nn.Linear(4, 1)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=0.03)
    x = torch.randn(64, 20, 1)
    target = x[:, -2:].mean(dim=1)  # what happened a short time ago
    for _ in range(90):
        optimizer.zero_grad()
        loss = (head(rnn(x)[1].hidden) - target).square().mean()
        loss.backward()
        optimizer.step()
    assert rnn.timescale < 8


# --- stamps, empty sequences, long steps, weights of another kind -------------------------------------


def tied_batch(seed=0, n_rows=4, length=10):
    """Sequences of which some observations share their stamps, from the first on, and values are missing."""
    generator = torch.Generator().manual_seed(seed)
    gaps = torch.rand(n_rows, length, dtype=torch.float64, generator=generator)
    gaps[torch.rand(gaps.shape, generator=generator) < 0.4] = 0
    gaps[0, 1], gaps[1, -1] = 0, 0
    x = torch.randn(n_rows, length, 3, dtype=torch.float64, generator=generator)
    x[torch.rand(x.shape, generator=generator) < 0.4] = math.nan
    return x, 5 + gaps.cumsum(dim=1)


@pytest.mark.parametrize("discretization", _steps.DISCRETIZATIONS)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("measure", DYNAMICS)
def test_observations_of_one_stamp_are_one_observation(measure, gate, discretization):
    rnn = make(measure, gate, discretization, mask_input=True)
    x, times = tied_batch()
    lengths = [10, 7, 10, 3]
    outputs, state = rnn(x, times, lengths)
    for i, length in enumerate(lengths):
        for end in range(1, length + 1):  # what comes later changes nothing
            own, merged = times[i, :end], []
            for stamp in own.unique():
                rows = x[i, :end][own == stamp]
                merged.append([column[~column.isnan()][-1:].sum() if (~column.isnan()).any() else math.nan
                               for column in rows.T])  # fmt: skip
            alone, last = rnn(torch.tensor(merged, dtype=torch.float64)[None], own.unique()[None])
            assert_allclose(outputs[i, end - 1].detach(), alone[0, -1].detach(), rtol=0, atol=1e-12)
        scale = 1 + last.memory.abs().max().item()
        assert_allclose(state.memory[i].detach(), last.memory[0].detach(), rtol=0, atol=1e-12 * scale)
        assert_array_equal(state.time[i], own[-1])
    outputs.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in rnn.parameters())


def test_a_stamp_is_not_cut():
    rnn = make()
    x, times = torch.randn(2, 4, 3, dtype=torch.float64), torch.tensor([[0.0, 1, 2, 3], [0, 1, 2, 2]])
    _, state = rnn(x[:, :3], times[:, :3], [2, 3])
    with pytest.raises(ValueError, match=r"Sequence 1 goes on at 2.0, the time at which its state ends: observations"):
        rnn(x[:, 3:], times[:, 3:], state=state)


@pytest.mark.parametrize("measure", DYNAMICS)
@pytest.mark.parametrize("gate", GATES)
def test_no_output_knows_what_comes_later(measure, gate):
    rnn = make(measure, gate)
    x, times, _ = batch()
    outputs, _ = rnn(x, times)
    other = x.clone(), times.clone()
    other[0][:, 4:], other[1][:, 4:] = 7.0, times[:, 4:] * 3
    assert_allclose(rnn(*other)[0][:, :4].detach(), outputs[:, :4].detach(), rtol=0, atol=1e-13)
    other[1][:, 1:] += 11.0
    assert_allclose(rnn(*other)[0][:, 0].detach(), outputs[:, 0].detach(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("gate", ["timed", "gru"])
@pytest.mark.parametrize("measure", ["legs", "legt"])
def test_sequences_may_be_empty(measure, gate):
    rnn = make(measure, gate, mask_input=True)
    x, times, _ = batch()
    lengths = [0, 9, 3, 0, 9, 1]
    outputs, state = rnn(x, times, lengths)
    assert not outputs[[0, 3]].any()
    assert not state.hidden[[0, 3]].any()
    assert not state.memory[[0, 3]].any()
    assert torch.isnan(state.time[[0, 3]]).all()
    outputs.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in rnn.parameters())
    for i in (1, 2, 5):
        rows = slice(i, i + 1), slice(lengths[i])
        alone, _ = rnn(x[rows], times[rows])
        assert_allclose(outputs[i, : lengths[i]].detach(), alone[0].detach(), atol=1e-13)
    # nothing seen is a beginning, and to go on with nothing is to stay
    none = rnn(x[:, :0])[1]
    assert_array_equal(rnn(x, times, state=none)[0].detach(), rnn(x, times)[0].detach())
    assert rnn(x[:, :0])[0].shape == (6, 0, 4)
    for again in (rnn(x, times, [0] * 6, state=state)[1], rnn(x, times + 9, [0, 0, 1, 1, 0, 0], state=state)[1]):
        for a, b in zip(again, state, strict=True):
            assert_allclose(a[[0, 1, 4, 5]].detach(), b[[0, 1, 4, 5]].detach(), rtol=0, atol=1e-13)
    with torch.inference_mode():
        assert_allclose(rnn(x, times, lengths)[0], outputs.detach(), atol=1e-13)
    # a batch of nothing else trains as any other
    for nothing in (rnn(x, times, [0] * 6), rnn(x[:, :0])):
        rnn.zero_grad()
        (nothing[0].sum() + nothing[1].hidden.sum()).backward()
        assert all((p.grad is None or (p.grad == 0).all()) for p in rnn.parameters())
        assert rnn.cell.weight_c.grad is not None


@pytest.mark.parametrize("way", ["compiled", "plain"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("measure", [m for m in DYNAMICS if m != "rand"])
def test_a_step_of_any_length_keeps_its_digits(monkeypatch, measure, dtype, way):
    pytest.importorskip("mpmath")
    if way == "plain":
        plain(monkeypatch)
    # Rounding of the coordinates, of their change and of the sums over modes: some sqrt(order) each, and order for lmu.
    tolerance = 200 * torch.finfo(dtype).eps
    for order, discretization in itertools.product([1, 5, 12], ["bilinear", "backward"]):
        cell = remembering(measure, order, dtype, discretization).cell
        for h in (1e-3, 1.0, 1e3, 1e6, 1e9, 1e12):
            scale, old, weight, exact, back, of_input, by_step = implicit_step(measure, order, discretization, h)
            x = torch.tensor([[0.75]], dtype=dtype, requires_grad=True)
            start = torch.tensor(old[None, None], dtype=dtype, requires_grad=True)
            step = torch.tensor([h], dtype=torch.float64, requires_grad=True)
            _, made = cell(x, step, (torch.zeros(1, 2, dtype=dtype), start))
            (made[0, 0] * torch.tensor(weight, dtype=dtype)).sum().backward()
            most, weights = np.abs(old / scale).max(), np.abs(weight * scale)
            error = np.abs(made.detach()[0, 0].double().numpy() - exact) / scale
            assert error.max() < tolerance * most, (order, discretization, h)
            error = np.abs(start.grad[0, 0].double().numpy() - back) * scale
            assert error.max() < tolerance * weights.max(), (order, discretization, h)
            assert abs(x.grad.item() - of_input) < tolerance * weights.sum(), (order, discretization, h)
            # The relative change of a step moves the memory by no more than the memory.
            assert abs(step.grad.item() - by_step) * h < tolerance * weights.sum() * most, (order, discretization, h)


@functools.cache
def implicit_step(measure, order, discretization, h):
    """A step from a memory and the gradient of a weighted sum of what it ends in, by a solution in sixty digits."""
    import mpmath

    A, B = oracles.dynamics(measure, order)
    rng, size = np.random.default_rng(order), len(B)
    scale = np.sqrt(2 * np.arange(size) + 1) if measure == "lmu" else np.ones(size)
    old, weight = (
        one.astype(np.float32).astype(float) for one in (rng.normal(size=size) * scale, rng.normal(size=size) / scale)
    )
    with mpmath.workdps(60):
        a = mpmath.mpf(1) / 2 if discretization == "bilinear" else mpmath.mpf(1)
        H, M, eye, b = mpmath.mpf(h), mpmath.matrix(A.tolist()), mpmath.eye(size), mpmath.matrix(B.tolist())
        forwards, system = eye + (1 - a) * H * M, eye - a * H * M
        exact = mpmath.lu_solve(system, forwards * mpmath.matrix(old.tolist()) + H * b * mpmath.mpf("0.75"))
        left = mpmath.lu_solve(system.T, mpmath.matrix(weight.tolist()))
        back, of_input = forwards.T * left, float(H * (left.T * b)[0])
        by_step = (left.T * (M * ((1 - a) * mpmath.matrix(old.tolist()) + a * exact) + b * mpmath.mpf("0.75")))[0]
    return scale, old, weight, *(np.array(one.tolist(), float)[:, 0] for one in (exact, back)), of_input, float(by_step)


@pytest.mark.parametrize("discretization", _steps.DISCRETIZATIONS)
@pytest.mark.parametrize("measure", DYNAMICS)
@pytest.mark.parametrize("timescale", [100, 40_000])
def test_single_precision_does_not_drift_over_many_steps(measure, discretization, timescale):
    torch.manual_seed(0)
    order = 64
    if measure == "rand" or discretization == "zoh":  # plain PyTorch
        order, timescale = 16, timescale / 20
    x = torch.randn(2, int(max(timescale, 2000)), 1)
    x[1, 1:] = 1  # a constant, of which every step adds less to the memory than the last one
    x[1, 0] = 0
    errors = memory_errors(x, measure, order, discretization, timescale)
    # A step changes a mode by h lambda of itself, some roundings off, so a timescale of them by 2 pi order at most. For
    # lmu and legt, the norm is that of the slow ones. Steps of a hundredth of the timescale have fast modes: a rounding
    # each, within the hundred steps or so that are remembered.
    assert max(errors) < 2 * math.pi * order * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("way", ["plain"])
@pytest.mark.parametrize("measure", [m for m in DYNAMICS if m != "rand"])
def test_plain_steps_do_not_drift_either(monkeypatch, measure, way):
    plain(monkeypatch)
    torch.manual_seed(0)
    x = torch.ones(2, 3000, 1)
    x[0, 1:] = torch.randn(2999, 1)
    errors = memory_errors(x, measure, 16, "bilinear", 3000.0)
    assert max(errors) < 2 * math.pi * 16 * torch.finfo(torch.float32).eps


def memory_errors(x, measure, order, discretization, timescale):
    """Distances of the memories of inputs x in single precision from those in double precision, by their largest."""
    memories = []
    for dtype in (torch.float32, torch.float64):
        rnn = remembering(measure, order, dtype, discretization)
        if rnn.log_timescale is not None:
            rnn.log_timescale.fill_(math.log(timescale))
        with torch.inference_mode():
            memories.append(rnn(x.to(dtype))[1].memory[:, 0].double())
    single, double = memories
    scale = torch.sqrt(2 * torch.arange(single.shape[1]) + 1) if measure == "lmu" else torch.ones(single.shape[1])
    return ((single - double) / scale).abs().amax(dim=1) / (double / scale).abs().amax(dim=1)


def test_the_network_of_lmu_is_no_chaos():
    torch.manual_seed(0)
    single = HiPPORNN(1, 8, measure="lmu", order=128, timescale=100.0)
    double = HiPPORNN(1, 8, measure="lmu", order=128, timescale=100.0).double()
    double.load_state_dict(single.state_dict())
    x = torch.randn(1, 8000, 1)
    with torch.inference_mode():
        (outputs, _), (expected, _) = single(x), double(x.double())
    # A rounding a step, each forgotten within a hundred steps or so, where the network itself does not magnify them.
    assert (outputs - expected).abs().max() < 1e-4


def test_weights_of_another_kind_are_refused(tmp_path):
    rnn = make("legs_lti")
    before = {name: one.clone() for name, one in rnn.named_parameters()}
    for other, told in (
        ({"measure": "lagt"}, "measure='lagt' and not 'legs_lti'"),
        ({"gate": "timed"}, "gate='timed' and not 'mgu'"),
        ({"discretization": "backward"}, "discretization='backward' and not 'bilinear'"),
        ({"gate": "timed", "measure": "lagt"}, "measure='lagt' and not 'legs_lti', gate='timed' and not 'mgu'"),
    ):
        wrong = make(**({"measure": "legs_lti", "seed": 1, "timescale": 99.0} | other))
        with pytest.raises(RuntimeError, match=told):
            rnn.load_state_dict(wrong.state_dict())
        assert all(torch.equal(one, before[name]) for name, one in rnn.named_parameters())
        assert rnn.timescale == pytest.approx(TIMESCALE, rel=1e-15)
        with pytest.raises(RuntimeError, match=told):
            torch.nn.ModuleList([rnn]).load_state_dict(torch.nn.ModuleList([wrong]).state_dict())
        assert rnn.timescale == pytest.approx(TIMESCALE, rel=1e-15)
    right = make("legs_lti", seed=1)
    torch.save(right.state_dict(), tmp_path / "weights")
    rnn.load_state_dict(torch.load(tmp_path / "weights", weights_only=True))
    x, times, lengths = batch()
    assert_array_equal(rnn(x, times, lengths)[0].detach(), right(x, times, lengths)[0].detach())


def test_weights_of_a_network_that_saw_no_mask_are_refused():
    told, untold = HiPPORNN(2, 3, mask_input=True), HiPPORNN(4, 3)
    for one, other in ((told, untold), (untold, told)):
        before = copy.deepcopy(one.state_dict())
        with pytest.raises(RuntimeError, match=f"mask_input={other.mask_input} and not {one.mask_input}"):
            one.load_state_dict(other.state_dict())
        assert all(torch.equal(value, before[name]) for name, value in one.state_dict().items())


def test_a_state_dict_is_made_of_tensors_and_tells_its_kind():
    rnn, other = make("legs_lti"), make("legs_lti", seed=1, timescale=99.0)
    copied = {name: one.clone() for name, one in other.state_dict().items()}
    x, times, lengths = batch()
    right = other(x, times, lengths)[0].detach()
    called, _ = torch.func.functional_call(rnn, copied, (x, times, lengths))
    assert_array_equal(called.detach(), right)
    rnn.load_state_dict(copied)
    assert_array_equal(rnn(x, times, lengths)[0].detach(), right)
    del copied["cell._extra_state"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "cell._extra_state"'):
        rnn.load_state_dict(copied)
    rnn.load_state_dict(copied, strict=False)
    assert json.loads(bytes(HiPPOCell(1, 2, order=np.int64(3)).get_extra_state().tolist()))["order"] == 3


# --- what goes wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"measure": "fous"}, "measure must be one of 'legs', "),
        ({"gate": "lstm"}, "gate must be one of None, 'mgu'"),
        ({"discretization": "forward"}, "discretization must be one of"),
        ({"order": 0}, "order must be an integer of at least 1, got 0"),
        ({"memory_size": 1.5}, "memory_size must be an integer"),
        ({"measure": "legt"}, "measure='legt' needs a positive timescale"),
        ({"measure": "legt", "timescale": -1.0}, "needs a positive timescale"),
        ({"timescale": 2.0}, "measure='legs' scales with the sequence"),
        ({"learn_timescale": True}, "measure='legs' scales with the sequence"),
    ],
)
def test_parameters_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        HiPPORNN(2, 3, **params)


def test_inputs_are_checked():
    rnn = make()
    x, times, lengths = batch()
    with pytest.raises(ValueError, match=r"x must have shape \(batch, length, 3\), got \(6, 9, 2\)"):
        rnn(x[..., :2])
    with pytest.raises(ValueError, match=r"times must have shape \(6, 9\)"):
        rnn(x, times[:, :4])
    with pytest.raises(ValueError, match="mask must have the shape of x"):
        rnn(x, mask=torch.ones(6, 9))
    for wrong in ([-1, 1, 1, 1, 1, 1], [10, 1, 1, 1, 1, 1], [3, 3]):
        with pytest.raises(ValueError, match="lengths must be 6 integers from 0 to 9"):
            rnn(x, times, wrong)
    with pytest.raises(ValueError, match="Times decrease at position 2"):
        rnn(x, torch.where(torch.arange(9) == 2, 0.0, times))
    with pytest.raises(ValueError, match="The time at position 3 is not finite"):
        rnn(x, torch.where(torch.arange(9) == 3, math.nan, times))
    infinite = x.clone()
    infinite[2, 0, 1] = math.inf
    with pytest.raises(ValueError, match="Infinite value at position 0, channel 1"):
        rnn(infinite, times, lengths)
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 3\)"):
        rnn.cell(x, times[:, 0])
    with pytest.raises(ValueError, match=r"step must have shape \(6,\)"):
        rnn.cell(x[:, 0], times)


# --- on the way to other runtimes ----------------------------------------------------------------------


class Plain(torch.nn.Module):
    """A network whose results are plain tensors, which files of programs hold."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x, times, lengths):
        outputs, state = self.rnn(x, times, lengths)
        return outputs, *state


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("way", ["plain"])
@pytest.mark.parametrize(
    ("measure", "gate", "discretization"),
    [("legs", "timed", "bilinear"), ("fout", "gru", "backward"), ("rand", None, "zoh")],
)
def test_exported_programs_give_the_same_numbers(tmp_path, way, measure, gate, discretization):
    rnn = make(measure, gate, discretization, dtype=torch.float32, mask_input=True).eval()
    x, times, _ = batch(length=7, dtype=torch.float32)  # with a tie
    x[0, 2, 1] = x[3, 0, 0] = math.nan
    lengths = torch.tensor([7, 3, 1, 5, 0, 7])
    rows = torch.export.Dim("rows", min=2)
    shapes = {name: {0: rows} for name in ("x", "times", "lengths")}
    program = torch.export.export(Plain(rnn), (x, times, lengths), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "rnn.pt2")
    loaded = torch.export.load(tmp_path / "rnn.pt2").module()
    assert not any("Fake" in type(one).__name__ for one in rnn.cell._coordinates() if isinstance(one, torch.Tensor))
    for n in (6, 3):
        found, expected = loaded(x[:n], times[:n], lengths[:n]), rnn(x[:n], times[:n], lengths[:n])
        for a, b in zip(found, (expected[0], *expected[1]), strict=True):
            # sums in another order, over seven steps: some roundings of single precision
            assert_allclose(a.detach(), b.detach(), rtol=0, atol=2e-5)
