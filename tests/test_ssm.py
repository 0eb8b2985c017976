import pickle
from functools import lru_cache
from itertools import pairwise

import numpy as np
import oracles
import pytest
from makers import trained, waves
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import check_param_validation, parametrize_with_checks

torch = pytest.importorskip("torch", reason="needs sklearn-hippo[rnn]")

pytest.importorskip("skorch", reason="needs sklearn-hippo[rnn]")
from skorch.callbacks import Callback  # noqa: E402

from sklearn_hippo import HiPPOSSMClassifier, HiPPOSSMRegressor, Panel, _blocks  # noqa: E402
from sklearn_hippo._dynamics import modes  # noqa: E402
from sklearn_hippo._ext_ssm import n_lanes, use_simd  # noqa: E402
from sklearn_hippo._measures import dynamics_of  # noqa: E402
from sklearn_hippo._panel import own_times  # noqa: E402
from sklearn_hippo._resampling import resampled  # noqa: E402
from sklearn_hippo.nn import HiPPOSSM, HiPPOSSMState, SelectiveSSM, SelectiveSSMState, _space, _ssm  # noqa: E402
from sklearn_hippo.nn._space import Memory, Space, run  # noqa: E402


@pytest.fixture(params=["avx512", "avx2", "baseline"])
def instructions(request):
    """Each of the instruction sets of this machine."""
    try:
        use_simd(request.param)
    except ValueError:
        pytest.skip("not offered here")
    yield
    use_simd(None)


def spread(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def problem(dtype=torch.float64, *, batch=3, length=75, width=19, n_modes=5, seed=0, discretization="foh"):
    """Modes of all kinds of lengths, ragged sequences, irregular steps with ties among them."""
    g = torch.Generator().manual_seed(seed)
    scale = torch.logspace(-4, 0.5, width)
    rate = torch.complex(-torch.rand(n_modes, width, generator=g), 8 * torch.randn(n_modes, width, generator=g)) * scale
    read = torch.complex(*torch.randn(2, n_modes, width, generator=g))
    u, through = torch.randn(batch, length, width, generator=g), torch.randn(width, generator=g)
    step = 2 * torch.rand(batch, length, generator=g)
    step[:, 7], step[:, 9] = 0, 30
    modes = torch.complex(*torch.randn(2, batch, n_modes, width, generator=g))
    lengths = torch.tensor([length, 0, 1, 33, length - 1])[:batch] if batch > 1 else torch.tensor([length])
    complex_dtype = dtype.to_complex()
    space = Space(rate.to(complex_dtype), read.to(complex_dtype), through.to(dtype), discretization)
    return space, u.to(dtype), step.to(dtype), lengths, Memory(modes.to(complex_dtype), u[:, 1].to(dtype) + 1)


# --- outputs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("discretization", ["foh", "zoh"])
@pytest.mark.parametrize("equal", [False, True])
def test_outputs_are_those_of_matrix_exponentials(discretization, equal):
    space, u, step, lengths, memory = problem(batch=1, length=40, n_modes=2, width=7, discretization=discretization)
    step = torch.full_like(step, 0.3) if equal else step
    expected = oracles.state_space(
        space.rate.numpy(), space.read.numpy(), space.through.numpy(), u[0].numpy(), step[0].numpy(),
        memory.modes[0].numpy(), memory.last[0].numpy(), held=discretization == "zoh",
    )  # fmt: skip
    y, _ = run(space, u, step[:, 0] if equal else step, lengths, memory, fresh=False)
    assert_allclose(y[0], expected, atol=1e-12 * np.abs(expected).max())
    y, _ = run(space, u, step[:, 0] if equal else step, lengths, memory, fresh=False, compiled=False)
    assert_allclose(y[0], expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("discretization", ["foh", "zoh", "bilinear"])
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.usefixtures("instructions")
def test_all_ways_are_one(dtype, tolerance, discretization, fresh):
    """Compiled, step by step, by products and by convolution: steps that differ, and equal ones, of each or of all."""
    space, u, step, lengths, memory = problem(dtype, batch=5, discretization=discretization)
    for own in (step, step[:, 1] + 0.1, torch.tensor(0.3, dtype=dtype)):
        every = own if own.ndim == 2 else own.reshape(-1, 1).expand(5, 75)
        expected, after = _space.loop(
            space, u, torch.cat([every[:, :1] * (not fresh), every[:, 1:]], dim=1), lengths, memory
        )
        for compiled in (False, True):
            y, end = run(space, u, own, lengths, memory, fresh=fresh, compiled=compiled)
            assert spread(y, expected) < tolerance
            assert spread(end.modes, after.modes) < tolerance
            assert_array_equal(end.last, after.last)
        if own.ndim < 2:
            how = _space.step_of(space, own[..., None, None] if own.ndim else own)
            inside = torch.where(_space.inside(u, lengths), u, 0)
            begin, enter, R = _space.shifted(how, memory, fresh)
            begin = begin + enter * inside[:, :1] if fresh else begin
            for way in (_space.convolve, _space.multiply):
                y = torch.where(_space.inside(u, lengths), way(space, how, inside, begin, R), 0)
                assert spread(y, expected) < tolerance


def test_sequences_of_one_and_of_many_observations_by_convolution():
    for length in (1, 2, 5, 200):
        space, u, _, lengths, memory = (
            problem(batch=1, length=length, seed=length)
            if length > 9
            else (lambda p: (p[0], p[1][:, :length], p[2], torch.tensor([length]), p[4]))(problem(batch=1))
        )
        step = torch.tensor(0.2, dtype=u.dtype)
        expected, after = run(space, u, step.expand(1, length), lengths, memory, fresh=False)
        for compiled in (False, True):
            y, end = run(space, u, step, lengths, memory, fresh=False, compiled=compiled)
            assert spread(y, expected) < 1e-11
            assert spread(end.modes, after.modes) < 1e-11


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("gap", [1e3, 1e6, 1e12, 1e30])
def test_gaps_of_any_length(dtype, gap):
    space, u, step, lengths, memory = problem(dtype, batch=1, length=40)
    space = space._replace(rate=space.rate - 0.1)  # what fades
    step[:, 20] = gap
    y, end = run(space, u, step, lengths, memory, fresh=False)
    equal, _ = run(space, u, torch.tensor(gap, dtype=dtype), lengths, memory, fresh=True)
    assert equal.isfinite().all()
    expected, after = _space.loop(space, u, step.clamp(max=_space.LONGEST), lengths, memory)
    assert spread(y, expected) < 2e-5
    assert spread(end.modes, after.modes) < 2e-5


@pytest.mark.parametrize("measure", _ssm.OF_MEASURES)
@pytest.mark.parametrize("discretization", ["foh", "zoh", "bilinear"])
def test_a_low_rank_layer_is_the_whole_operator(measure, discretization):
    """In coefficients, of which the layer's modes are other coordinates."""
    torch.manual_seed(0)
    order = 8
    layer = HiPPOSSM(
        3, order, measure=measure, low_rank=True, discretization=discretization, longest=0.5, dtype=torch.float64
    ).requires_grad_(False)
    system = dynamics_of(measure, order - (measure == "fout"))
    C = 2 * torch.cat([layer.read[..., 0], -layer.read[..., 1]]).numpy()
    u, steps, lengths = torch.randn(3, 30, 3, dtype=torch.float64), torch.tensor([0.7, 1.4, 0.7]), [30, 11, 1]
    y, end = layer(u, steps.double(), lengths)
    for h, delta in enumerate(layer.log_step.exp().tolist()):
        for i, n in enumerate(lengths):
            expected = oracles.low_rank_space(
                system.A * delta, system.B * delta, C[:, h] @ modes(system).into, layer.through[h].item(),
                u[i, :n, h].numpy(), np.full(n, steps[i].double().item()), rule=discretization,
            )  # fmt: skip
            assert_allclose(y[i, :n, h], expected, atol=1e-12 * np.abs(expected).max())
            assert not y[i, n:].any()
    for cut in (0, 1, 7):
        first, state = layer(u[:1, :cut], steps[:1].double())
        second, state = layer(u[:1, cut:], steps[:1].double(), state=state if cut else None)
        assert spread(torch.cat([first, second], dim=1), y[:1]) < 1e-12
        assert spread(state.modes, end.modes[:1]) < 1e-12
    single = HiPPOSSM(3, order, measure=measure, low_rank=True, discretization=discretization, longest=0.5)
    single.requires_grad_(False)
    single.load_state_dict(layer.state_dict())
    assert spread(single(u.float(), steps, lengths)[0], y) < 1e-5


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("low_rank", [False, True])
def test_a_bidirectional_layer_reads_both_ways(equal, low_rank):
    if low_rank and not equal:
        pytest.skip("not for steps that differ")
    torch.manual_seed(0)
    how = {"d_model": 5, "order": 8, "low_rank": low_rank, "dtype": torch.float64}
    layer = HiPPOSSM(**how, bidirectional=True).requires_grad_(False)
    one = HiPPOSSM(**how).requires_grad_(False)
    u, lengths = torch.randn(3, 20, 5, dtype=torch.float64), [20, 7, 0]
    steps = torch.full((3,), 0.7, dtype=torch.float64) if equal else torch.rand(3, 20, dtype=torch.float64)
    y, _ = layer(u, steps, lengths)
    for name, weight in one.named_parameters():
        weight.copy_(getattr(layer, name))
    forwards, _ = one(u, steps, lengths)
    one.read.copy_(layer.read_back)
    one.through.zero_()
    for i, n in enumerate(lengths):
        own = steps[i : i + 1] if equal else torch.cat([steps[i, :1], steps[i, 1:n].flip(0)])[None, :n]
        backwards, _ = one(u[i : i + 1, :n].flip(1), own)
        assert spread(y[i : i + 1, :n] - forwards[i : i + 1, :n], backwards.flip(1)) < 1e-10 if n else True
        assert not y[i, n:].any()
    with pytest.raises(ValueError, match="has no state to go on with"):
        layer(u, steps, state=layer(u, steps)[1])


@pytest.mark.parametrize("how", [{}, {"low_rank": True}, {"bidirectional": True}, {"discretization": "zoh"}])
@pytest.mark.parametrize("equal", [False, True])
def test_the_plain_path_is_exported(how, equal):
    if how == {"low_rank": True} and not equal:
        pytest.skip("not for steps that differ")
    torch.manual_seed(0)
    layer = HiPPOSSM(3, order=4, **how).requires_grad_(False)
    u, step = torch.randn(2, 12, 3), torch.tensor(0.7) if equal else torch.rand(2, 12)
    program = torch.export.export(layer, (u, step))
    expected, end = layer(u, step)
    y, state = program.module()(u, step)
    assert_allclose(y, expected, atol=1e-5)
    assert_allclose(state.modes, end.modes, atol=1e-5)


# --- gradients ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("instructions")
# Of a mode that is just not slow, u / lambda is 2 / SLOW times what an input adds to x in a step of 2: as many last
# digits are lost, and of 75 steps they add up as their square root does.
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-10), (torch.float32, 2 / 0.036 * 75**0.5 * torch.finfo(torch.float32).eps)],
)
@pytest.mark.parametrize("discretization", ["foh", "zoh"])
@pytest.mark.parametrize("equal", [0, 1, 5])
def test_gradients_are_those_of_plain_pytorch(dtype, tolerance, discretization, equal):
    space, u, step, lengths, memory = problem(dtype, batch=5, discretization=discretization)
    step = step if equal == 0 else (step[:, 1] + 0.1 if equal == 5 else step[0, 1] + 0.1)
    found = []
    for compiled in (False, True):
        wanted = [x.clone().requires_grad_() for x in (u, *space[:3], *memory)]
        y, end = run(
            Space(*wanted[1:4], discretization), wanted[0], step, lengths, Memory(*wanted[4:]), fresh=False,
            compiled=compiled,
        )  # fmt: skip
        g = torch.Generator().manual_seed(1)
        loss = (y * torch.randn(y.shape, generator=g)).sum()
        for part in (end.modes.real, end.modes.imag, end.last):
            loss = loss + (part * torch.randn(part.shape, generator=g)).sum()
        found.append(torch.autograd.grad(loss, wanted))
    for plain, compiled in zip(*found, strict=True):
        assert spread(compiled, plain) < tolerance


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("length", [0.1, 0.5, 1.0, 2.0, 2.85, 3.0])
def test_a_thousand_turns_of_a_mode_that_hardly_fades(length):
    layer = HiPPOSSM(1, 2, dtype=torch.float64)
    with torch.no_grad():
        layer.frequency.fill_(1.0), layer.log_decay.fill_(-9.0), layer.log_step.zero_()
        steps = length * (0.98 + 0.02 * torch.rand(1, 1000, dtype=torch.float64))
        begin = HiPPOSSMState(torch.ones(1, 1, 1, dtype=torch.complex128), torch.zeros(1, 1, dtype=torch.float64))
        end = layer(torch.zeros(1, 1000, 1, dtype=torch.float64), steps, None, begin)[1].modes
        expected = torch.exp(complex(-np.exp(-9.0), 1.0) * steps.sum())
    # each e^z is right to a few last digits, and as many as there are steps are lost at most
    assert abs(end.item() - expected.item()) < 1000 * 4 * np.finfo(float).eps


def with_gradients(space, u, step, lengths, compiled=True):
    """Outputs, last states, and the gradients of inputs, lambda, C and D."""
    wanted = [x.clone().requires_grad_() for x in (u, *space[:3])]
    memory = Memory(torch.zeros(len(u), *space.rate.shape, dtype=space.rate.dtype), u[:, 0])
    space = Space(*wanted[1:], space.discretization)
    y, end = run(space, wanted[0], step, lengths, memory, fresh=False, compiled=compiled)
    weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(y.dtype)
    return [y.detach(), end.modes.detach(), *torch.autograd.grad((y * weight).sum(), wanted)]


@lru_cache
def canceling(discretization):
    """Speeds of modes, steps, what is run in single precision, and what plain PyTorch has in both precisions."""
    g = torch.Generator().manual_seed(0)
    speed, length = torch.logspace(-5, 0.5, 32), 1000
    rate = (torch.complex(-0.3 * torch.ones(1), torch.ones(1)) * speed)[None]
    u = (-1.0) ** torch.arange(length)[None, :, None].expand(1, length, 32)
    step, lengths = 0.5 + torch.rand(1, length, generator=g), torch.tensor([length])
    single = Space(rate, torch.ones_like(rate), torch.zeros(32), discretization), u, step, lengths
    rate = rate.to(torch.complex128)
    double = Space(rate, torch.ones_like(rate), torch.zeros(32, dtype=torch.float64), discretization)
    plain = with_gradients(*single, compiled=False)
    return speed, step, single, plain, with_gradients(double, u.double(), step.double(), lengths, compiled=False)


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("discretization", ["foh", "zoh"])
def test_inputs_that_cancel(discretization):
    """Of which little is left in a state; channels have modes that move from 1e-5 to 3 in a step, and fade in some."""
    speed, step, single, plain, expected = canceling(discretization)
    found, length = with_gradients(*single), step.shape[1]
    # Slow modes lose what rounding takes from steps in any case, and from sums of as many terms. Others move by
    # SLOW / 1.5 or more in a typical step, and lose as many digits as the inverse of that has: of an input that is
    # held, and twice of one whose sums over two steps cancel as well; once more in gradients of lambda.
    inverse, order = 1.5 / 0.036, 1 if discretization == "zoh" else 2
    sums = 2 * length**0.5 * torch.finfo(torch.float32).eps
    for h in range(32):
        slow = 1.05 * speed[h] * step.max() < 0.036
        for k in (0, 1, 3, 4):
            lost = 1 if slow else inverse ** (order + (k == 3))
            error, usual = (spread(some[k][..., h], expected[k][..., h]) for some in (found, plain))
            assert error < lost * (4 * usual + sums), (k, h)
    assert spread(found[2], expected[2]) < inverse * (4 * spread(plain[2], expected[2]) + sums)


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("short", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("discretization", ["foh", "zoh"])
def test_a_gap_behind_an_impulse(dtype, short, discretization):
    """Which a mode that moves little in it, but not in the gap, remembers to the last digits."""
    rate, read, through = (torch.full((1, 17), x, dtype=dtype) for x in (-1.0, 0.5, 0.0))
    space = Space(rate.to(dtype.to_complex()), read.to(dtype.to_complex()), through[0], discretization)
    u = torch.tensor([0.0, 1, 0, 0], dtype=dtype).reshape(1, 4, 1).expand(1, 4, 17)
    step, lengths = torch.tensor([[0.0, short, short, 1.0]], dtype=torch.float64), torch.tensor([4])
    found = with_gradients(space, u, step, lengths)
    double = Space(*(x.to(torch.promote_types(x.dtype, torch.float64)) for x in space[:3]), discretization)
    for one, wanted in zip(found, with_gradients(double, u.double(), step, lengths, compiled=False), strict=True):
        assert spread(one, wanted) < 16 * torch.finfo(dtype).eps if wanted.any() else not one.any()


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("exponent", [-60, -20, 20, 40])
@pytest.mark.parametrize("discretization", ["foh", "zoh"])
def test_time_in_another_unit(dtype, exponent, discretization):
    """To the same bits, in units that are powers of two."""
    space, u, step, lengths, _ = problem(dtype, batch=5, discretization=discretization)
    unit = 2.0**exponent
    other = space._replace(rate=space.rate / unit, read=space.read / unit)
    y, end, *gradients = with_gradients(space, u, step, lengths)
    expected = [y, end * unit, gradients[0], gradients[1] * unit, gradients[2] * unit, gradients[3]]
    for found, wanted in zip(with_gradients(other, u, step * unit, lengths), expected, strict=True):
        assert_array_equal(found, wanted)


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 1e-45), (torch.float64, 5e-324)])
def test_steps_of_next_to_no_time(dtype, least):
    space, u, step, lengths, _ = problem(dtype, batch=5)
    some = step.double()
    some[:, 20:22] = least
    none = some.clone()
    none[:, 20:22] = 0
    for found, wanted in zip(*(with_gradients(space, u, own, lengths) for own in (some, none)), strict=True):
        assert_array_equal(found, wanted)


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize(("dtype", "angle"), [(torch.float32, 1e5), (torch.float64, 8e9)])
def test_huge_angles(dtype, angle):
    layer = HiPPOSSM(17, 2, dtype=dtype)
    with torch.no_grad():
        layer.frequency.fill_(angle), layer.log_decay.fill_(-9.0), layer.log_step.zero_()
        begin = HiPPOSSMState(torch.ones(1, 1, 17, dtype=dtype.to_complex()), torch.zeros(1, 17, dtype=dtype))
        u, step = torch.zeros(1, 1, 17, dtype=dtype), torch.ones(1, 1)
        end = layer(u, step, None, begin)[1].modes
        expected = np.exp(complex(-np.exp(-9.0), layer.frequency[0, 0].item()))
    assert_allclose(end, np.full((1, 1, 17), expected), rtol=8 * torch.finfo(dtype).eps)


def test_the_layer_passes_gradcheck():
    torch.manual_seed(0)
    layer = HiPPOSSM(3, order=4, dtype=torch.float64, longest=1.0)
    u, step = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True), torch.rand(2, 6, dtype=torch.float64)
    names = [name for name, _ in layer.named_parameters()]

    def outputs(u, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (u, step, [6, 4]))[0]

    assert torch.autograd.gradcheck(outputs, (u, *(p.detach().requires_grad_() for p in layer.parameters())))


@pytest.mark.parametrize("discretization", ["foh", "bilinear"])
def test_a_low_rank_layer_passes_gradcheck(discretization):
    torch.manual_seed(0)
    layer = HiPPOSSM(
        2, order=4, low_rank=True, bidirectional=True, discretization=discretization, dtype=torch.float64, longest=1.0
    )
    u, step = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True), torch.tensor([0.5, 0.8]).double()
    names = [name for name, _ in layer.named_parameters()]

    def outputs(u, step, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (u, step, [5, 3]))[0]

    weights = (p.detach().requires_grad_() for p in layer.parameters())
    assert torch.autograd.gradcheck(outputs, (u, step.requires_grad_(), *weights))


def test_steps_have_a_gradient_too():
    torch.manual_seed(0)
    layer = HiPPOSSM(3, order=4, dtype=torch.float64, longest=1.0)
    u = torch.randn(2, 6, 3, dtype=torch.float64)
    for shape in ((2, 6), (2,), ()):
        step = (0.5 + torch.rand(shape, dtype=torch.float64)).requires_grad_()
        assert torch.autograd.gradcheck(lambda step: layer(u, step)[0], (step,))


# --- the layer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", _ssm.BASES)
@pytest.mark.parametrize("equal", [False, True])
def test_one_pass_is_any_cut(measure, equal):
    torch.manual_seed(0)
    layer = HiPPOSSM(5, order=16, measure=measure, dtype=torch.float64)
    u = torch.randn(2, 30, 5, dtype=torch.float64)
    step = torch.full((2,), 0.7, dtype=torch.float64) if equal else torch.rand(2, 30, dtype=torch.float64)
    y, end = layer(u, step)
    for cut in (1, 13, 29):
        first, state = layer(u[:, :cut], step if equal else step[:, :cut])
        second, state = layer(u[:, cut:], step if equal else step[:, cut:], state=state)
        assert spread(torch.cat([first, second], dim=1).detach(), y.detach()) < 1e-12
        assert spread(state.modes.detach(), end.modes.detach()) < 1e-12
        assert isinstance(state, HiPPOSSMState)


def test_outputs_do_not_depend_on_batch_and_padding():
    torch.manual_seed(0)
    layer = HiPPOSSM(5, order=8)
    u, step = torch.randn(4, 40, 5), torch.rand(4, 40)
    lengths = [40, 3, 0, 17]
    y, end = layer(u, step, lengths)
    for i, n in enumerate(lengths):
        alone, state = layer(u[i : i + 1, :n], step[i : i + 1, :n])
        assert_allclose(y[i, :n].detach(), alone[0].detach(), atol=1e-6)
        assert not y[i, n:].any()
        assert_allclose(end.modes[i].detach(), state.modes[0].detach(), atol=1e-6)
    u[1, 3:], step[1, 3:] = 1e9, 1e9  # what is behind the end is nobody's
    assert_array_equal(layer(u, step, lengths)[0].detach(), y.detach())


def test_the_rate_of_sampling_hardly_matters():
    """Of a smooth signal, every second observation."""
    torch.manual_seed(0)
    layer = HiPPOSSM(16, order=64, dtype=torch.float64)
    t = torch.linspace(0, 100, 201, dtype=torch.float64)
    u = torch.sin(t[:, None] * torch.linspace(0.05, 0.15, 16, dtype=torch.float64))[None]
    whole, half = layer(u, t.diff(prepend=t[:1])[None])[0], layer(u[:, ::2], t[::2].diff(prepend=t[:1])[None])[0]
    assert spread(half.detach(), whole[:, ::2].detach()) < 2e-3


def test_spectra_are_those_of_the_facts():
    """Eigenvalues of A + P P^T of LegS and LagT, P = sqrt(n + 1/2) and sqrt(1/2), and of the closed forms."""
    rate, into = _ssm.spectrum("legs_lti", 64)
    n = np.arange(64)
    B = np.sqrt(2 * n + 1)
    A = -(np.tril(np.outer(B, B), -1) + np.diag(n + 1.0)) + np.outer(B, B) / 2
    expected = np.linalg.eigvals(A)
    assert_allclose(rate.real, -0.5)
    assert_allclose(rate.imag, np.sort(expected.imag[expected.imag > 0]), rtol=1e-9)
    known = [0.263857, 0.905859, 1.702968, 258.152, 433.031, 1303.273844]
    assert_allclose(rate.imag[[0, 1, 2, -3, -2, -1]], known, rtol=2e-6)
    assert_allclose(2 * (2 * into**2).sum(), (B**2).sum() / 2)  # a half of B, in both halves of the modes
    k = np.arange(64)[:32]
    lagt = _ssm.spectrum("lagt", 64)[0]
    assert_allclose(np.sort(lagt.imag), np.sort(1 / np.tan(np.pi * (2 * k + 1) / 128) / 2), rtol=1e-9)
    assert_allclose(_ssm.spectrum("lin", 64)[0], -0.5 + 1j * np.pi * k)
    inv = _ssm.spectrum("inv", 64)[0].imag[[-1, -2, -3, 0]]
    assert_allclose(inv, [1283.425461, 414.227265, 240.387626, 0.323362], rtol=2e-6)
    assert len(_ssm.spectrum("legs_lti + fout", 64)[0]) == 32


def test_half_of_b_is_what_the_low_rank_part_leaves():
    """Responses to slow waves, of LegS and of its normal part with a half of B."""
    errors = []
    for order in (32, 64):
        B = np.sqrt(2 * np.arange(order) + 1)
        A = -(np.tril(np.outer(B, B), -1) + np.diag(np.arange(order) + 1.0))
        normal, low = A + np.outer(B, B) / 2, np.eye(order)[:4]
        at = 1j * np.linspace(0.1, 3, 20)
        exact, found = (np.array([low @ np.linalg.solve(w * np.eye(order) - M, f) for w in at])
                        for M, f in ((A, B), (normal, B / 2)))  # fmt: skip
        errors.append(np.abs(found - exact).max() / np.abs(exact).max())
    assert errors[1] < errors[0] < 0.1


def test_what_is_refused():
    for how, message in (
        ({"d_model": 0}, "d_model must be"), ({"d_model": 4, "order": 3}, "order must be a multiple of 2"),
        ({"d_model": 4, "order": 6, "measure": "legs_lti + fout"}, "order must be a multiple of 4"),
        ({"d_model": 4, "measure": "legs"}, "measure must be one of"),
        ({"d_model": 4, "discretization": "dirac"}, "discretization must be one of"),
        ({"d_model": 4, "shortest": 2.0}, "0 < shortest <= longest"),
        ({"d_model": 4, "low_rank": True, "measure": "lin"}, "low_rank=True is for 'legs_lti', 'legt'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            HiPPOSSM(**how)
    with pytest.raises(ValueError, match="low_rank=True needs equal steps"):
        HiPPOSSM(4, order=8, low_rank=True)(torch.zeros(2, 5, 4), torch.ones(2, 5))
    layer = HiPPOSSM(4, order=8)
    u = torch.zeros(2, 5, 4)
    for args, message in (
        ((u[..., :3],), "u must have shape"), ((u.double(),), "both be float32 or float64"),
        ((u, torch.ones(2, 4)), "step must have shape"), ((u, -torch.ones(2, 5)), "numbers from zero on"),
        ((u, torch.full((2,), torch.nan)), "step must hold"), ((u, None, [5, 6]), "2 integers from 0 to 5"),
        ((u, None, [1.0, 2.0]), "lengths must be"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            layer(*args)


def test_states_of_others_are_refused():
    """A state of another batch, layer or precision; and steps as Python has them are double precision."""
    layer, selective = HiPPOSSM(3, 8).requires_grad_(False), SelectiveSSM(4, 8).requires_grad_(False)
    for one, others in ((layer, (HiPPOSSM(3, 4), HiPPOSSM(3, 8).double())), (selective, (SelectiveSSM(4, 16),))):
        u = torch.randn(2, 4, one.d_model)
        for step in (0.5, torch.rand(2, 4)):
            states = [one(u[:1])[1], *(other(u.to(next(other.parameters()).dtype))[1] for other in others)]
            for state in states:
                with pytest.raises(ValueError, match="state must be that of 2 sequences of this layer"):
                    one(u, step, state=state)
    double = HiPPOSSM(3, 8).double().requires_grad_(False)
    u = torch.randn(2, 9, 3, dtype=torch.float64)
    assert_array_equal(double(u, 0.7)[0], double(u, torch.tensor(0.7, dtype=torch.float64))[0])
    assert_array_equal(double(u, [0.7, 0.1])[0], double(u, np.array([0.7, 0.1]))[0])
    assert HiPPOSSM(3, 2, measure="inv")(u.float())[0].isfinite().all()


@pytest.mark.parametrize("kind", [HiPPOSSM, SelectiveSSM])
@pytest.mark.parametrize("equal", [False, True])
def test_where_nothing_has_come_a_sequence_begins_later(kind, equal):
    torch.manual_seed(0)
    layer = kind(4, 8, dtype=torch.float64).requires_grad_(False)
    u, steps = torch.randn(3, 12, 4, dtype=torch.float64), torch.rand(3, 12, dtype=torch.float64)
    own, rest = (0.7, 0.7) if equal else (steps[:, :5], steps[:, 5:])
    _, state = layer(u[:, :0], own if equal else own[:, :0])
    y, end = layer(u[:, 5:], rest, state=state)
    assert_array_equal(y, layer(u[:, 5:], rest)[0])
    _, state = layer(u[:, :5], own, [5, 0, 2])  # one of three has not begun
    y, end = layer(u[:, 5:], rest, [7, 7, 0], state=state)
    assert_allclose(y[1], layer(u[1:2, 5:], rest if equal else rest[1:2])[0][0], atol=1e-14)
    assert_allclose(y[0], layer(u[:1], 0.7 if equal else steps[:1])[0][0, 5:], atol=1e-14)
    assert_array_equal(end.modes[2], state.modes[2])


def test_what_is_behind_an_end_is_in_no_gradient():
    u, step = torch.randn(2, 9, 3), torch.rand(2, 9)
    u[1, 4:], step[1, 4:] = torch.nan, torch.nan
    for how in ({}, {"discretization": "bilinear"}, {"bidirectional": True}):
        layer = HiPPOSSM(3, 8, **how)
        layer(u, step, [9, 4])[0].sum().backward()
        assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_weights_know_what_they_were_made_for():
    layer = HiPPOSSM(4, order=8)
    with pytest.raises(RuntimeError, match="measure='legs_lti' and not 'lin'"):
        HiPPOSSM(4, order=8, measure="lin").load_state_dict(layer.state_dict())
    u = torch.randn(2, 5, 4)
    assert_array_equal(pickle.loads(pickle.dumps(layer))(u)[0].detach(), layer(u)[0].detach())
    assert n_lanes() in (1, 2, 4, 8)


# --- the selective layer --------------------------------------------------------------------------------


@pytest.mark.parametrize("selective", [(), ("timescale",), ("B",), ("C",), ("timescale", "B", "C")])
@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_selective_layer_is_its_recurrence(monkeypatch, selective, equal, compiled):
    torch.manual_seed(0)
    monkeypatch.setattr(SelectiveSSM, "_compiled", compiled)
    layer = SelectiveSSM(4, 8, selective=selective, longest=2.0, dtype=torch.float64).requires_grad_(False)
    u, lengths = torch.randn(3, 75, 4, dtype=torch.float64), [75, 33, 1]
    steps = torch.full((3,), 0.7).double() if equal else 3 * torch.rand(3, 75, dtype=torch.float64)
    every = steps[:, None].expand(3, 75).clone() if equal else steps.clone()
    every[:, 0] = 0
    y, end = layer(u, steps, lengths)
    clock, decay, B, C = (part.numpy() for part in layer._terms(u, every))
    B, C = (part[:, :, 0] + 1j * part[:, :, 1] for part in (B, C))
    for h in range(4):
        rate = -decay[h // 2] + 1j * layer.frequency.numpy()
        for i, n in enumerate(lengths):
            x = np.zeros(4, complex)
            expected = oracles.selective_space(
                rate, clock[i, :n, h // 2], B[i], C[i], layer.through[h].item(), u[i, :n, h].numpy(), x
            )
            assert_allclose(y[i, :n, h], expected, atol=1e-12 * np.abs(expected).max())
            assert_allclose(end.modes[i, :, h], x, atol=1e-12 * max(1e-3, np.abs(x).max()))
            assert not y[i, n:].any()
    single = SelectiveSSM(4, 8, selective=selective, longest=2.0).requires_grad_(False)
    single.load_state_dict(layer.state_dict())
    assert spread(single(u.float(), steps.float(), lengths)[0], y) < 1e-5


@pytest.mark.parametrize("compiled", [False, True])
def test_a_selective_layer_goes_on_and_ignores_padding(monkeypatch, compiled):
    torch.manual_seed(0)
    monkeypatch.setattr(SelectiveSSM, "_compiled", compiled)
    layer = SelectiveSSM(6, 16, n_heads=3, dtype=torch.float64).requires_grad_(False)
    u, step = torch.randn(2, 70, 6, dtype=torch.float64), torch.rand(2, 70, dtype=torch.float64)
    y, end = layer(u, step)
    for cut in (0, 1, 32, 41):
        first, state = layer(u[:, :cut], step[:, :cut])
        second, state = layer(u[:, cut:], step[:, cut:], state=state if cut else None)
        assert spread(torch.cat([first, second], dim=1), y) < 1e-12
        assert spread(state.modes, end.modes) < 1e-12
    part, _ = layer(u, step, [70, 9])
    u[1, 9:], step[1, 9:] = 1e9, 1e9
    again, _ = layer(u, step, [70, 9])
    assert_array_equal(again, part)
    assert spread(part[1:, :9], y[1:, :9]) < 1e-12
    for gap in (1e4, 1e9, 1e300):  # all is forgotten, and what comes later in the chunk keeps its digits
        step[0, 20] = gap
        whole, _ = layer(u[:1], step[:1])
        _, state = layer(u[:1, :21], step[:1, :21])
        assert spread(layer(u[:1, 21:], step[:1, 21:], state=state)[0], whole[:, 21:]) < 1e-11
    program = torch.export.export(layer, (u[:, :40], step[:, :40]))
    assert_allclose(program.module()(u[:, :40], step[:, :40])[0], layer(u[:, :40], step[:, :40])[0], atol=1e-10)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_selective_layer_passes_gradcheck(monkeypatch, compiled):
    torch.manual_seed(0)
    monkeypatch.setattr(SelectiveSSM, "_compiled", compiled)
    layer = SelectiveSSM(2, 4, longest=1.0, dtype=torch.float64)
    u, step = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True), torch.rand(2, 5, dtype=torch.float64)
    names = [name for name, _ in layer.named_parameters()]

    def outputs(u, step, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (u, step, [5, 3]))[0]

    weights = (p.detach().requires_grad_() for p in layer.parameters())
    assert torch.autograd.gradcheck(outputs, (u, step.requires_grad_(), *weights))


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize(("width", "order", "heads"), [(12, 40, 1), (6, 4, 3), (5, 32, 5), (34, 24, 2)])
def test_a_compiled_selective_layer_is_the_plain_one(monkeypatch, width, order, heads):
    torch.manual_seed(0)
    layer = SelectiveSSM(width, order, n_heads=heads, longest=1.0, dtype=torch.float64)
    inputs = [
        torch.randn(3, 75, width).double(),
        torch.rand(3, 75).double(),
        torch.randn(3, order // 2, width).cdouble(),
    ]
    inputs = [x.requires_grad_() for x in inputs]
    of_y, of_end = torch.randn(3, 75, width).double(), torch.randn(3, order // 2, width).cdouble()

    def both(dtype, pace):
        layer.to(dtype)
        u, step, x = (x.detach().to(dtype.to_complex() if x.is_complex() else dtype).requires_grad_() for x in inputs)
        found = []
        for compiled in (True, False):
            monkeypatch.setattr(SelectiveSSM, "_compiled", compiled)
            y, end = layer(u, pace * step, [75, 33, 1], SelectiveSSMState(x))
            total = (y * of_y.to(dtype)).sum() + (end.modes * of_end.to(end.modes.dtype)).real.sum()
            grads = torch.autograd.grad(total, [u, step, x, *layer.parameters()])
            found.append([y.detach(), end.modes.detach(), *grads])
        return found

    for one, other in zip(*both(torch.float64, 1), strict=True):
        assert spread(one, other) < 1e-12
    # Angles are known to eps times themselves: w of up to 520, and steps of 0.1, are good for 3e-6.
    for one, other in zip(both(torch.float32, 0.1)[0], both(torch.float64, 0.1)[1], strict=True):
        assert spread(one, other) < 2e-5


def test_what_a_selective_layer_refuses():
    for how, message in (
        ({"selective": ("A",)}, "selective must be some of"), ({"selective": "B"}, "selective must be some of"),
        ({"n_heads": 3}, "n_heads must divide d_model=4"), ({"measure": "legs"}, "measure must be one of"),
        ({"shortest": 2.0}, "0 < shortest <= longest"), ({"order": 5}, "order must be a multiple of 2"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            SelectiveSSM(4, **how)


# --- the estimators -------------------------------------------------------------------------------------

QUICK = {"hidden_size": 8, "order": 4, "max_epochs": 15, "lr": 0.02, "random_state": 0}
CHECKED = QUICK | {"n_layers": 1, "batch_size": 64, "lr": 0.05}


@pytest.mark.filterwarnings("ignore:The training ended:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        HiPPOSSMClassifier(**CHECKED),
        HiPPOSSMRegressor(**CHECKED | {"max_epochs": 40, "hidden_size": 16}),
    ],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "mini-batches depend on the number of series",
    },
)
def test_scikit_learn_checks(estimator, check):
    check(trained(estimator, check))


@pytest.mark.parametrize("estimator", [HiPPOSSMClassifier, HiPPOSSMRegressor])
def test_parameters_are_validated(estimator):
    check_param_validation(estimator.__name__, estimator(max_epochs=1))


@pytest.mark.parametrize(
    "how",
    [
        {}, {"relative": False}, {"pooling": "last"}, {"pooling": "gated"}, {"discretization": "zoh"},
        {"bidirectional": True}, {"selective": ("timescale", "B", "C")}, {"resample": 32},
        {"resample": 32, "low_rank": True, "measure": "lagt"},
    ],
)  # fmt: skip
def test_it_learns_classes_of_irregular_series(how):
    panel, y = waves(90)
    classifier = HiPPOSSMClassifier(**QUICK | {"max_epochs": 40}, **how).fit(panel[:60], y[:60])
    assert classifier.score(panel[60:], y[60:]) > 0.9
    assert_allclose(classifier.predict_proba(panel).sum(axis=1), 1)
    copied = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(copied.predict_proba(panel), classifier.predict_proba(panel))
    assert classifier.transform(panel).shape == (90, 8)


def test_numbers():
    panel, labels = waves(90)
    y = 5.0 + (labels == "fast")
    regressor = HiPPOSSMRegressor(**QUICK | {"max_epochs": 40}).fit(panel[:60], y[:60])
    assert regressor.score(panel[60:], y[60:]) > 0.5
    assert HiPPOSSMRegressor(**QUICK).fit(panel, np.c_[y, -y]).predict(panel).shape == (90, 2)


@pytest.mark.parametrize("how", [{}, {"pooling": "last"}, {"pooling": "gated"}, {"selective": ["B"]}])
@pytest.mark.parametrize("holes", [False, True])
def test_what_is_said_while_a_series_runs(how, holes):
    panel, y = waves(40)
    if holes:
        panel = panel.replace(values=np.where(np.arange(panel.values.size).reshape(-1, 2) % 3, panel.values, np.nan))
    classifier = HiPPOSSMClassifier(**QUICK, relative=False, **how).fit(panel, y)
    online = classifier.predict_proba_online(panel[:3])
    for (times, values), (_, rows) in zip(panel[:3], online, strict=True):
        for k in range(len(times)):
            assert_allclose(rows[k], classifier.predict_proba([(times[: k + 1], values[: k + 1])])[0], atol=1e-12)


def test_what_cannot_be_said_while_a_series_runs():
    panel, y = waves(20)
    later = "bidirectional=False and resample=None"
    for own, message in (
        ({}, "need relative=False"), ({"bidirectional": True}, later), ({"resample": 9}, later),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            HiPPOSSMClassifier(**QUICK, **own).fit(panel, y).predict_proba_online(panel)


def test_the_clock_of_a_series_is_no_matter():
    panel, y = waves(40)
    classifier = HiPPOSSMClassifier(**QUICK).fit(panel, y)
    faster = Panel(panel.values, panel.times / 7 + 3, panel.offsets)
    assert_allclose(classifier.predict_proba(faster), classifier.predict_proba(panel), atol=1e-9)
    alone = [classifier.predict_proba([one])[0] for one in panel[:5]]
    assert_allclose(classifier.predict_proba(panel[:5]), alone, atol=1e-9)
    regular = Panel.from_list([np.c_[np.sin(np.arange(n) / 3), np.ones(n)] for n in (20, 30)])
    spelled = Panel(regular.values, regular.times if regular.times is not None else own_times(regular), regular.offsets)
    assert_allclose(classifier.predict_proba(spelled), classifier.predict_proba(regular), atol=1e-9)


def test_holes_ties_and_series_of_nothing():
    panel, y = waves(40)
    values = panel.values.copy()
    values[::3, 1], values[1::4, 0] = np.nan, np.nan
    series = list(Panel(values, panel.times, panel.offsets))
    series[3], series[4] = ([], np.empty((0, 2))), ([2.0], [[1.0, 2.0]])
    series[5] = (np.r_[series[5][0], series[5][0][-1]], np.r_[series[5][1], [[9.0, 9.0]]])
    classifier = HiPPOSSMClassifier(**QUICK).fit(series, y)
    assert np.isfinite(classifier.predict_proba(series)).all()
    assert classifier.net_.module_.mask_input
    gridded = HiPPOSSMClassifier(**QUICK, resample=12).fit(series, y)
    assert np.isfinite(gridded.predict_proba(series)).all()
    nothing = [([], np.empty((0, 2)))] * 3  # a batch of them
    for fitted in (classifier, gridded, HiPPOSSMClassifier(**QUICK, relative=False).fit(series, y)):
        assert_allclose(fitted.predict_proba(nothing), [fitted.predict_proba(series)[3]] * 3, atol=1e-12)
    assert not len(fitted.predict_proba_online(nothing).values)


def test_ages_of_channels():
    """Since the last observation of each, or since the start."""
    nan = np.nan
    x = torch.tensor([[[1.0, nan], [nan, 2.0], [nan, nan], [3.0, nan]]])
    found = _blocks.ages(~torch.isnan(x), torch.tensor([[0.0, 1.0, 2.5, 4.0]]))
    assert_array_equal(found[0], [[0, 0], [1, 0], [2.5, 1.5], [0, 3]])


def test_what_does_not_go_together():
    panel, y = waves(20)
    with pytest.raises(ValueError, match="neither low_rank nor bidirectional"):
        HiPPOSSMClassifier(**QUICK, selective=["B"], low_rank=True).fit(panel, y)
    with pytest.raises(ValueError, match="selective must be some of 'timescale', 'B', 'C'"):
        HiPPOSSMClassifier(**QUICK, selective=["A"]).fit(panel, y)
    with pytest.raises(ValueError, match="low_rank=True needs equal steps"):
        HiPPOSSMClassifier(**QUICK, low_rank=True).fit(panel, y)


# --- a regular grid -------------------------------------------------------------------------------------


def test_what_was_fitted_counts():
    """Parameters that are set afterwards change no prediction."""
    panel, y = waves(30)
    classifier = HiPPOSSMClassifier(**QUICK, resample=9).fit(panel, y)
    expected = classifier.predict_proba(panel)
    assert_array_equal(classifier.set_params(resample=None, relative=False).predict_proba(panel), expected)
    with pytest.raises(ValueError, match="resample=None: these read what comes later"):
        classifier.predict_proba_online(panel)
    both = HiPPOSSMClassifier(**QUICK).fit(panel, y).set_params(relative=False)
    with pytest.raises(ValueError, match="need relative=False"):
        both.predict_proba_online(panel)


def test_datetimes_of_equal_steps_are_equal():
    """In seconds since 1970, a tenth is rounded to 2e-7."""
    times = torch.tensor(1.7e9) + 0.1 * torch.arange(20, dtype=torch.float64)
    inside = torch.ones(1, 20, dtype=torch.bool)
    assert _blocks.clock(times[None], inside, torch.tensor([20]), None)[0].ndim == 0


def test_resampled_series_are_nobody_elses_business():
    rng = np.random.default_rng(0)
    series = [np.full((4, 1), 1e308), *(rng.normal(size=(n, 1)) for n in (9, 30, 4))]
    alone = resampled(Panel.from_list(series[1:]), 5).values
    assert_array_equal(resampled(Panel.from_list(series), 5).values[5:], alone)


@pytest.mark.parametrize("held", [False, True])
def test_resampled_series_are_means_of_their_parts(held):
    rng = np.random.default_rng(0)
    series = []
    for n in (30, 2, 7, 1, 0, 12):
        values = rng.normal(size=(n, 3))
        values[rng.random((n, 3)) < 0.4] = np.nan
        series.append((100 + np.cumsum(rng.random(n)), values))
    series[2][1][:, 1] = np.nan
    found = resampled(Panel.from_list(series), 5, held=held)
    assert list(found.lengths) == [5, 5, 5, 1, 0, 5]
    for (t, u), (times, means) in zip(series, found, strict=True):
        if len(t) < 2:
            assert_array_equal(means, u)
            continue
        edges = np.linspace(t[0], t[-1], 6)
        assert_allclose(times, (edges[1:] + edges[:-1]) / 2)
        for c in range(3):
            seen = ~np.isnan(u[:, c])
            expected = [oracles.mean_of_line(t[seen], u[seen, c], *ends, held=held) for ends in pairwise(edges)]
            assert_allclose(means[:, c], expected, rtol=1e-12, atol=1e-12)


def test_few_series_get_more_epochs():
    panel, y = waves(40)
    how = {"hidden_size": 4, "order": 2, "n_layers": 1, "random_state": 0}
    assert HiPPOSSMClassifier(**how).fit(panel, y).n_iter_ == 134  # 400 mini-batches, three an epoch
    with pytest.raises(ValueError, match="timescale is for relative=False"):
        HiPPOSSMClassifier(**how, timescale=3.0).fit(panel, y)


class Interrupt(Callback):
    """Ctrl-C in the fourth epoch, once."""

    armed = True

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == 4 and Interrupt.armed:
            Interrupt.armed = False
            raise KeyboardInterrupt


def test_a_training_that_was_interrupted_ends_in_the_same_numbers(tmp_path):
    panel, y = waves(40)
    wide = QUICK | {"hidden_size": 16}
    whole = HiPPOSSMClassifier(**wide).fit(panel, y)
    how = {"checkpoint": tmp_path / "waves.ckpt", "net_params": {"callbacks": [Interrupt()]}}
    interrupted = HiPPOSSMClassifier(**wide, **how).fit(panel, y)
    assert interrupted.n_iter_ == 3
    resumed = interrupted.fit(panel, y)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert_array_equal(resumed.predict_proba(panel), whole.predict_proba(panel))


def test_modes_and_clocks_have_a_rate_of_their_own():
    panel, y = waves(40)
    net = HiPPOSSMClassifier(**QUICK, state_lr=0.003, schedule="constant").fit(panel, y).net_
    groups = net.optimizer_.param_groups
    assert sorted((group["lr"], group["weight_decay"]) for group in groups)[0] == (0.003, 0)
    assert sorted((group["lr"], group["weight_decay"]) for group in groups)[-1] == (0.02, 0.01)


@pytest.mark.parametrize("discretization", ["foh", "zoh", "bilinear"])
@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_the_end_of_a_single_layer_is_a_product(monkeypatch, discretization, length):
    torch.manual_seed(0)
    own = {"order": 8, "measure": "legs_lti", "discretization": discretization, "selective": None}
    network = _blocks.Network(
        3, 2, 16, n_layers=1, dropout=0.0, pooling="last", timescale=None, mask_input=True, **own
    ).double()  # fmt: skip
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    x = torch.randn(4, length, 2, dtype=torch.float64)
    x[1, length // 2] = torch.nan
    lengths, found = torch.full((4,), length), []
    for product in (True, False):
        if not product:
            monkeypatch.setattr(network, "_is_product", lambda *_: False)
        network.zero_grad()
        y = network(x, lengths)
        (y * torch.arange(12.0).reshape(4, 3)).sum().backward()
        zeros = (torch.zeros_like(weight) for weight in network.parameters())
        found.append([y, *(z if w.grad is None else w.grad for w, z in zip(network.parameters(), zeros, strict=True))])
    for one, other in zip(*found, strict=True):
        assert_allclose(one.detach(), other.detach(), rtol=0, atol=1e-12 * max(1.0, other.detach().abs().max()))
