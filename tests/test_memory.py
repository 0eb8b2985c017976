import copy
import gc
import pickle
import sys
import threading
import tracemalloc
from datetime import UTC, timedelta
from decimal import Decimal
from functools import cache, reduce
from itertools import pairwise

import numpy as np
import oracles
import pytest
from extras import optional
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import expm
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_hippo import HiPPOMemory, HiPPOTransformer, Panel
from sklearn_hippo._projection import _gauss_nodes

pytestmark = pytest.mark.usefixtures("simd")

EXACT = ["legs", "legs_lti", "lagt"]
MEASURES = [*EXACT, "legt", "fout"]
TIMESCALE = 20.0


PASTS = ["zero", "constant"]


def make(measure="legs", order=8, **kwargs):
    return HiPPOMemory(measure, order, timescale=None if measure == "legs" else TIMESCALE, **kwargs)


def wild(seed, n_streams=1, m=100, n_channels=2, missing=0.2):
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(size=(n_streams, m)) * rng.choice([1, 1, 0.01, 1e-6, 5, 0], size=(n_streams, m))
    values = rng.normal(size=(n_streams, m, n_channels)).cumsum(axis=1)
    values[rng.uniform(size=values.shape) < missing] = np.nan
    return 3 + np.cumsum(gaps, axis=1), values


def close(actual, expected, tolerance=1e-9):
    scale = np.nanmax(np.abs(expected), initial=1e-300)
    assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


# --- what the state is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", EXACT)
@pytest.mark.parametrize("missing", [0, 0.3])
def test_the_state_is_the_projection(measure, interpolation, missing, past):
    times, values = wild(0, 3, 150, missing=missing)
    memory = make(measure, 24, n_channels=2, n_streams=3, interpolation=interpolation, past=past)
    for k in range(150):
        memory.update(values[:, k], times[:, k])
        if k in (0, 1, 5, 40, 149):
            for s in range(3):
                for c in range(2):
                    seen = values[s, : k + 1, c]
                    if np.isnan(seen).all():
                        assert np.isnan(memory.coefficients_[s, c]).all()
                        continue
                    expected = oracles.project(measure, 24, times[s, : k + 1], seen, TIMESCALE, interpolation, past)
                    close(memory.coefficients_[s, c], expected, 1e-10)
    assert_array_equal(memory.time_, times[:, -1])
    assert memory.n_observations_ == 150


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", EXACT)
def test_channels_that_come_late_or_fall_silent(measure, interpolation, past):
    times, values = wild(7, 2, 300, 3, missing=0)
    values[:, :40, 1] = np.nan  # first seen late, then always
    values[:, 200:260, 2] = np.nan  # silent for a while
    values[1, 100:, 0] = np.nan  # and forever
    memory = make(measure, 12, n_channels=3, n_streams=2, interpolation=interpolation, past=past)
    for k in range(0, 300, 20):
        memory.update(values[:, k : k + 20], times[:, k : k + 20])
        for s in range(2) if k % 40 == 20 else ():
            for c in range(3):
                seen = values[s, : k + 20, c]
                if not np.isnan(seen).all():
                    expected = oracles.project(measure, 12, times[s, : k + 20], seen, TIMESCALE, interpolation, past)
                    close(memory.coefficients_[s, c], expected, 1e-10)


@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", EXACT)
def test_ten_thousand_irregular_steps(measure, interpolation):
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.exponential(size=10_000))
    values = np.sin(times / 700) + rng.normal(size=10_000) / 10
    memory = HiPPOMemory(measure, 64, timescale=1000.0, interpolation=interpolation)
    for k in range(0, 10_000, 7):
        memory.update(values[k : k + 7], times[k : k + 7])
    transformer = HiPPOTransformer(measure, 64, timescale=1000.0, interpolation=interpolation)
    expected = transformer.fit_transform([(times, values)])
    close(memory.coefficients_[0], expected, 1e-10)


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", ["legt", "fout"])
def test_sliding_memories_follow_their_dynamics(measure, interpolation, past):
    times, values = wild(2, 1, 80, 1, missing=0)
    memory = make(measure, 11, interpolation=interpolation, past=past).update(values[0], times[0])
    expected = oracles.recur(measure, 11, times[0], values[0, :, 0], TIMESCALE, interpolation, past)
    close(memory.coefficients_[0, 0], expected, 1e-9)


@pytest.mark.parametrize("measure", ["legt", "fout"])
def test_sliding_memories_approach_the_projection(measure):
    t = np.linspace(0, 10, 4001)
    f = np.exp(np.sin(2 * np.pi * t / 2.0))
    errors = []
    for order in (7, 15, 31):
        memory = HiPPOMemory(measure, order, timescale=2.0).update(f, t)
        expected = oracles.project(measure, order, t, f, 2.0)
        errors.append(oracles.relative_error(memory.coefficients_[0, 0], expected))
    assert errors[-1] < (1e-8 if measure == "legt" else 2e-2)
    assert errors[-1] < errors[0]


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", MEASURES)
def test_few_observations(measure, interpolation, past):
    memory = make(measure, 4, interpolation=interpolation, past=past)
    with pytest.raises(ValueError, match="call update first"):
        _ = memory.coefficients_
    # No duration: a constant function to a measure that scales, in a window nothing but the past.
    scales, endless = measure == "legs", past == "constant"
    memory.update(3.0, 5.0)
    assert_array_equal(memory.coefficients_, [[[3 if scales or endless else 0, 0, 0, 0]]])
    memory.update(4.0, 5.0)  # a tie: still no duration
    assert_array_equal(memory.coefficients_, [[[4 if scales else 3 if endless else 0, 0, 0, 0]]])
    constant = make(measure, 4, interpolation=interpolation, past=past)
    constant.update([2.0, 2.0, 2.0], [0.0, 1.0, 5000.0])
    assert_allclose(constant.coefficients_, [[[2, 0, 0, 0]]], atol=1e-8)


@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", MEASURES)
def test_a_constant_past_is_a_constant_to_every_window(measure, interpolation):
    memory = make(measure, 6, interpolation=interpolation, past="constant", n_streams=2)
    later = make(measure, 6, interpolation=interpolation, past="constant", n_streams=2)
    memory.update([[2.0, 2.0], [-1.0, -1.0]], [0.0, 1e-3])
    later.update([[2.0, np.nan], [-1.0, -1.0]], [7.0, 8.0])
    for one in (memory, memory + later):
        # exp(A h) e_0 = e_0 - (a constant), both of them to rounding
        assert_allclose(one.coefficients_[:, 0], np.outer([2, -1], np.eye(6)[0]), rtol=0, atol=1e-13)
    assert np.isnan(memory.reconstruct([-0.5])).all()  # what was before is assumed, and was not observed
    zero = make("lagt", 6, past="zero").update(1.0)
    with pytest.raises(ValueError, match="past='zero' and 'constant'"):
        zero.merge(make("lagt", 6, past="constant"))
    scaled = make(past="zero").update(1.0) + make(past="constant").update(2.0, 3.0)  # which do not look there
    assert scaled.n_observations_ == 2


# --- chunks, merges, streams ---------------------------------------------------------------------------

cases = {
    "measure": st.sampled_from(MEASURES),
    "order": st.integers(1, 40),
    "interpolation": st.sampled_from(["linear", "hold"]),
    "past": st.sampled_from(PASTS),
    "seed": st.integers(0, 1000),
    "missing": st.sampled_from([0, 0.4]),
}


def cut(data, m):
    edges = sorted(set(data.draw(st.lists(st.integers(0, m), max_size=6))) | {0, m})
    return list(pairwise(edges))


@settings(deadline=None, max_examples=60)
@given(data=st.data(), **cases)
def test_any_chunks_make_the_same_memory(data, measure, order, interpolation, past, seed, missing):
    times, values = wild(seed, 2, 60, missing=missing)
    kwargs = {"n_channels": 2, "n_streams": 2, "interpolation": interpolation, "past": past}
    whole = make(measure, order, **kwargs).update(values, times)
    pieces = make(measure, order, **kwargs)
    for a, b in cut(data, 60):
        pieces.update(values[:, a:b], times[:, a:b])
    close(pieces.coefficients_, whole.coefficients_)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), **cases)
def test_any_merge_tree_makes_the_same_memory(data, measure, order, interpolation, past, seed, missing):
    times, values = wild(seed, 2, 60, missing=missing)
    kwargs = {"n_channels": 2, "n_streams": 2, "interpolation": interpolation, "past": past}
    whole = make(measure, order, **kwargs).update(values, times)
    shards = [make(measure, order, **kwargs).update(values[:, a:b], times[:, a:b]) for a, b in cut(data, 60)]
    shards.insert(0, make(measure, order, **kwargs))  # an empty one changes nothing
    while len(shards) > 1:
        i = data.draw(st.integers(0, len(shards) - 2))
        shards[i : i + 2] = [shards[i] + shards[i + 1]]
    close(shards[0].coefficients_, whole.coefficients_)
    assert shards[0].n_observations_ == 60
    # and goes on like it
    more = times[:, -1:] + [[0.5, 2.0]]
    for memory in (shards[0], whole):
        memory.update(np.ones((2, 2, 2)), more)
    close(shards[0].coefficients_, whole.coefficients_)


@settings(deadline=None, max_examples=40)
@given(**cases)
def test_streams_are_independent(measure, order, interpolation, past, seed, missing):
    times, values = wild(seed, 4, 50, missing=missing)
    kwargs = {"n_channels": 2, "interpolation": interpolation, "past": past}
    together = make(measure, order, n_streams=4, **kwargs).update(values, times).coefficients_
    for s in range(4):
        alone = make(measure, order, **kwargs).update(values[s], times[s]).coefficients_
        close(together[s], alone[0])


@pytest.mark.parametrize("measure", MEASURES)
def test_high_orders_in_many_shards(measure):
    times, values = wild(5, 1, 400, 1, missing=0)
    order = 256 if measure in EXACT else 96
    whole = make(measure, order).update(values[0], times[0])
    shards = [make(measure, order).update(values[0, k : k + 25], times[0, k : k + 25]) for k in range(0, 400, 25)]
    close(reduce(HiPPOMemory.merge, shards).coefficients_, whole.coefficients_)


# --- stop, store, resume -------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES)
def test_a_resumed_memory_is_bit_equal(measure, tmp_path):
    times, values = wild(6, 2, 200)
    kwargs = {"n_channels": 2, "n_streams": 2}
    unbroken, pickled, stored, read = (make(measure, 20, **kwargs) for _ in range(4))
    for k in range(0, 200, 3):
        for memory in (unbroken, pickled, stored, read):
            memory.update(values[:, k : k + 3], times[:, k : k + 3])
        pickled = pickle.loads(pickle.dumps(pickled))
        np.savez(tmp_path / "memory.npz", **stored.to_dict())
        with np.load(tmp_path / "memory.npz", allow_pickle=False) as file:
            stored = HiPPOMemory.from_dict(file)
        _ = read.coefficients_
    for memory in (pickled, stored, read):
        assert_array_equal(memory.coefficients_, unbroken.coefficients_)
        assert memory.get_params() == unbroken.get_params()


def test_from_dict_refuses_what_it_does_not_know():
    stored = HiPPOMemory().to_dict()
    with pytest.raises(ValueError, match="not a memory in format 1"):
        HiPPOMemory.from_dict(stored | {"format": 2})
    with pytest.raises(ValueError, match="not a memory"):
        HiPPOMemory.from_dict({})
    with pytest.raises(ValueError, match="state_core has shape"):
        HiPPOMemory.from_dict(stored | {"state_core": np.zeros((1, 1, 3))})
    with pytest.raises(ValueError, match="not a complete memory"):
        HiPPOMemory.from_dict({name: one for name, one in stored.items() if name != "state_time"})
    with pytest.raises(ValueError, match="not a complete memory"):
        HiPPOMemory.from_dict(stored | {"param_nonsense": 3})
    with pytest.raises(ValueError, match="state_core has masked entries"):
        HiPPOMemory.from_dict(stored | {"state_core": np.ma.masked_equal(stored["state_core"], 0)})


def test_ten_million_observations_in_constant_memory():
    memory = HiPPOMemory(order=8, interpolation="hold")
    chunk = np.random.default_rng(0).normal(size=100_000)
    memory.update(chunk)
    gc.collect()
    tracemalloc.start()
    for _ in range(99):
        memory.update(chunk)
    for x in chunk[:2000]:
        memory.update(x)
    grown, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert memory.n_observations_ == 10_002_000
    assert grown < 100_000
    assert peak < 10_000_000


def test_reset_and_clone():
    memory = HiPPOMemory(order=3).update([1.0, 2.0])
    assert clone(memory).n_observations_ == 0
    assert memory.reset().n_observations_ == 0
    assert_array_equal(memory.update([5.0]).coefficients_, [[[5, 0, 0]]])
    assert repr(HiPPOMemory("lagt", 3, timescale=2.0)) == "HiPPOMemory(measure='lagt', order=3, timescale=2.0)"


# --- reading -------------------------------------------------------------------------------------------


def test_reconstruct():
    t = np.linspace(0, 6, 601)
    signals = np.stack([np.sin(t), np.cos(t)])
    memory = HiPPOMemory(order=20, n_streams=2).update(signals, t)
    when = np.linspace(0, 6, 31)
    assert_allclose(memory.reconstruct(when)[..., 0], [np.sin(when), np.cos(when)], atol=1e-4)
    assert_array_equal(memory.reconstruct(np.stack([when, when])), memory.reconstruct(when))
    assert np.isnan(memory.reconstruct([-0.1, 6.1])).all()
    with pytest.raises(ValueError, match="times must have shape"):
        memory.reconstruct(np.zeros((3, 4)))
    sliding = HiPPOMemory("legt", 20, timescale=2.0).update(signals[0], t)
    assert np.isnan(sliding.reconstruct([3.9])).all()
    assert_allclose(sliding.reconstruct([5.0])[0, 0, 0], np.sin(5.0), atol=1e-3)


def test_no_times_are_0_1_2():
    a = HiPPOMemory(order=5).update([1.0, 4.0]).update(2.0).update([3.0, 3.5])
    b = HiPPOMemory(order=5).update([1.0, 4.0, 2.0, 3.0, 3.5], np.arange(5.0))
    assert_array_equal(a.coefficients_, b.coefficients_)
    with pytest.raises(ValueError, match="give the times of the new observations"):
        b.update(1.0)


@pytest.mark.parametrize(
    ("kwargs", "shapes"),
    [
        ({}, [(), (3,), (3, 1), (1, 3, 1)]),
        ({"n_channels": 2}, [(2,), (3, 2), (1, 3, 2)]),
        ({"n_streams": 4}, [(4,), (4, 3), (4, 3, 1), (4, 1)]),
        ({"n_streams": 4, "n_channels": 2}, [(4, 2), (4, 3, 2)]),
    ],
)
def test_shapes_of_values(kwargs, shapes):
    for shape in shapes:
        memory = HiPPOMemory(order=2, **kwargs).update(np.ones(shape))
        n_new = int(np.prod(shape)) // (kwargs.get("n_streams", 1) * kwargs.get("n_channels", 1))
        assert memory.n_observations_ == n_new
    for shape in [(5, 6), (3, 4, 5), (2, 2, 2, 2)]:
        with pytest.raises(ValueError, match="values must have shape"):
            HiPPOMemory(order=2, n_channels=3, **{k: v for k, v in kwargs.items() if k == "n_streams"}).update(
                np.ones(shape)
            )


# --- errors leave the memory as it was -----------------------------------------------------------------

BAD_UPDATES = {
    "backwards": (([1.0], [4.0]), "Stream 0: times decrease at position 0 of the update, from 5.0 to 4.0"),
    "backwards inside": (([1.0, 2.0], [7.0, 6.0]), "Stream 0: times decrease at position 1"),
    "infinite": (([1.0, np.inf], [7.0, 8.0]), "Stream 0, channel 0: infinite value at position 1"),
    "NaN time": (([1.0], [np.nan]), "Stream 0: the time at position 0 is nan"),
    "time count": (([1.0, 2.0], [7.0]), "times must have shape"),
    "strings": ((["a"], [7.0]), "real numbers"),
    "string times": (([1.0], ["a"]), "Times must be numbers"),
    "channels": ((np.ones((2, 3)), [7.0, 8.0]), "values must have shape"),
    "no times": (([1.0],), "give the times"),
}


@pytest.mark.parametrize("case", BAD_UPDATES)
def test_a_bad_update_changes_nothing(case):
    arguments, message = BAD_UPDATES[case]
    memory = HiPPOMemory(order=4).update([1.0, 2.0, 0.0], [0.0, 1.0, 5.0])
    before = memory.to_dict()
    with pytest.raises(ValueError, match=message):
        memory.update(*arguments)
    after = memory.to_dict()
    for name in before:
        assert_array_equal(after[name], before[name])


def test_bad_merges():
    memory = HiPPOMemory(order=4).update([1.0, 2.0], [0.0, 5.0])
    for other, message in [
        (HiPPOMemory(order=5), "order=4 and 5"),
        (HiPPOMemory("lagt", 4, timescale=1.0), "measure='legs' and 'lagt'"),
        (HiPPOMemory(order=4, n_streams=2), "n_streams=1 and 2"),
        (HiPPOMemory(order=4).update([1.0], [4.0]), "overlap: the first ends at 5.0, the second begins at 4.0"),
    ]:
        before = memory.coefficients_
        with pytest.raises(ValueError, match=message):
            memory.merge(other)
        assert_array_equal(memory.coefficients_, before)
    with pytest.raises(TypeError, match="merges with another one"):
        memory.merge(3)
    with pytest.raises(TypeError, match="unsupported operand"):
        memory + 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"measure": "chebt"}, "'measure' parameter"),
        ({"order": 0}, "'order' parameter"),
        ({"n_streams": 0}, "'n_streams' parameter"),
        ({"measure": "legt"}, "needs a timescale"),
        ({"measure": "legt", "timescale": -1}, "'timescale' parameter"),
    ],
)
def test_parameters_are_checked(parameters, message):
    with pytest.raises(ValueError, match=message):
        HiPPOMemory(**parameters).update(1.0)


def test_changed_parameters_are_noticed():
    memory = HiPPOMemory(order=4).update(1.0)
    memory.order = 5
    with pytest.raises(ValueError, match="'order' has changed since the first update; reset"):
        memory.update(2.0)


def test_input_is_not_changed_and_not_kept():
    values, times = np.ones(40), np.arange(40.0)
    memory = HiPPOMemory(order=3).update(values[:5], times[:5])
    assert_array_equal(values, 1)
    assert_array_equal(times, np.arange(40))
    values[:], times[:] = 7, -1
    assert_array_equal(memory.coefficients_[0, 0], [1, 0, 0])
    assert_array_equal(memory.time_, [4])


# --- what a review broke -------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["legt", "fout"])
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
def test_gaps_of_many_timescales_are_bounded_work(measure, interpolation):
    long = HiPPOMemory(measure, 9, timescale=1.0, interpolation=interpolation)
    long.update([1.0, 2.0, 3.0], [0.0, 1.0, 1e17])
    assert_allclose(long.coefficients_[0, 0, 0], 3.0, atol=1e-6)  # the end of the line from 2 to 3
    tiny = HiPPOMemory(measure, 2, timescale=1e-309).update([1.0, 2.0], [0.0, 1.0])
    assert np.isfinite(tiny.coefficients_).all()
    middling = HiPPOMemory(measure, 9, timescale=1.0, interpolation=interpolation)
    middling.update([1.0, 2.0, 3.0], [0.0, 1.0, 1501.0])
    expected = oracles.recur(measure, 9, [0.0, 1.0, 1501.0], [1.0, 2.0, 3.0], 1.0, interpolation)
    close(middling.coefficients_[0, 0], expected, 1e-9)


def test_copies_are_independent():
    memory = HiPPOMemory(order=2).update([1.0, 2.0])
    twin = copy.copy(memory)
    memory.update(3.0)
    before = memory.coefficients_
    twin.update(100.0)
    assert_array_equal(memory.coefficients_, before)
    assert pickle.dumps(HiPPOMemory(order=2).update([1.0, 2.0])) == pickle.dumps(
        HiPPOMemory(order=2).update([1.0, 2.0])
    )


@pytest.mark.parametrize("m", [3, 100])
def test_json(m):
    import json

    memory = HiPPOMemory("lagt", 4, timescale=3.0, n_channels=2).update(np.ones((m, 2)))
    text = json.dumps({name: one.tolist() for name, one in memory.to_dict().items()})
    copy = HiPPOMemory.from_dict(json.loads(text))
    assert_array_equal(copy.coefficients_, memory.coefficients_)
    assert_array_equal(copy.update([5.0, 6.0]).coefficients_, memory.update([5.0, 6.0]).coefficients_)


def test_every_parameter_is_held_to_the_state():
    memory = HiPPOMemory("legs", 4, timescale=1.0).update(np.arange(50.0))
    memory.set_params(timescale=7.0).update(3.0)  # legs has none
    for change in ({"measure": "lagt"}, {"interpolation": "hold"}, {"order": 2}, {"n_channels": 2}):
        old = {name: memory.get_params()[name] for name in change}
        memory.set_params(**change)
        for use in (lambda: memory.update(3.0), lambda: memory.coefficients_, lambda: memory.reconstruct([1.0])):
            with pytest.raises(ValueError, match="has changed since the first update"):
                use()
        memory.set_params(**old)
    fresh = HiPPOMemory(order=4)
    with pytest.raises(ValueError, match="infinite"):
        fresh.update(np.inf)
    fresh.order = 8
    assert fresh.update(1.0).coefficients_.shape == (1, 1, 8)
    assert not hasattr(HiPPOMemory(), "coefficients_")
    both = HiPPOMemory("legs", 4).update(1.0, 0.0) + HiPPOMemory("legs", 4, timescale=9.0).update(2.0, 1.0)
    assert both.n_observations_ == 2


def test_more_forms_of_values_and_times():
    expected = HiPPOMemory(order=3).update([1.0, 2.0, np.nan], [0.0, 60.0, 120.0]).coefficients_
    minutes = np.array([0, 1, 2], "datetime64[m]")
    for values in ([[1.0, 2.0, np.nan]], np.ma.masked_array([1.0, 2.0, 9.0], [False, False, True])):
        assert_array_equal(HiPPOMemory(order=3).update(values, minutes).coefficients_, expected)
    assert HiPPOMemory(order=3, n_channels=3).update([]).n_observations_ == 0
    with pytest.raises(ValueError, match="subtract an origin"):
        HiPPOMemory(order=2).update([1.0, 2.0], 10**18 + np.arange(2))


# --- digits, the largest numbers, and what an audit found ----------------------------------------------


@cache
def long_walk(length):
    values = np.random.default_rng(1).normal(size=length).cumsum()
    return values, oracles.long_legendre(values, 40, "linear")


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs extended precision")
@pytest.mark.parametrize(("length", "chunk"), [(10_000, 200), (100_000, 200), (1_000_000, 2_000)])
def test_the_number_of_blocks_costs_no_digits(length, chunk):
    # Every block embeds the memory anew, with an error of some eps sqrt(order) = 4e-15 that has no sign: no more than
    # sqrt(number of blocks) of them add up, 1e-13 for 500 blocks. Coefficients do not depend on the order.
    values, exact = long_walk(length)
    memory = HiPPOMemory(order=256)
    for k in range(0, length, chunk):
        memory.update(values[k : k + chunk])
    assert_allclose(memory.coefficients_[0, 0, :40], exact, rtol=0, atol=5e-13 * np.abs(values).max())


@pytest.mark.parametrize("order", [1, 2, 16, 100, 256, 700])
def test_gauss_nodes_are_exact(order):
    _, weights, basis = _gauss_nodes(order)
    products = (basis.T * weights) @ basis
    # A value of P_n is off by n roundings at most, of eps / 2 each, and so is its partner's. What makes a memory drift
    # is an error with a sign, as weights with an error of their own have.
    assert_allclose(products, np.eye(order), rtol=0, atol=2.0**-53 * 2 * (10 + order))
    assert abs(np.trace(products) / order - 1) < 2.0**-53 * (10 + np.sqrt(order))


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", MEASURES)
def test_the_largest_numbers_are_remembered(measure, interpolation, past):
    times, values = wild(0, 2, 70, 2)
    values /= 2 * np.nanmax(np.abs(values))
    kwargs = {"n_channels": 2, "n_streams": 2, "interpolation": interpolation, "past": past}
    expected = make(measure, 9, **kwargs).update(values, times)
    for size in (2.0**70, 2.0**1000, 2.0**1023):
        whole, parts, left, right = (make(measure, 9, **kwargs) for _ in range(4))
        whole.update(size * values, times)
        for k in range(0, 70, 7):
            parts.update(size * values[:, k : k + 7], times[:, k : k + 7])
        left.update(size * values[:, :30], times[:, :30])
        right.update(size * values[:, 30:], times[:, 30:])
        for memory in (whole, parts, left + right):
            close(memory.coefficients_ / size, expected.coefficients_)
            when = times[0, ::9]
            assert_allclose(memory.reconstruct(when) / size, expected.reconstruct(when), rtol=0, atol=1e-8)


@pytest.mark.parametrize("measure", MEASURES)
def test_small_numbers_are_remembered_beside_the_largest(measure):
    times, values = wild(0, 2, 70, 2, missing=0)
    values /= 2 * np.abs(values).max()
    sizes = np.array([[2.0**-900, 1.0], [2.0**1000, 2.0**-300]])  # of streams and channels
    memory = make(measure, 6, n_channels=2, n_streams=2)
    for k in range(0, 70, 10):
        memory.update(sizes[:, None] * values[:, k : k + 10], times[:, k : k + 10])
    left, right = (
        make(measure, 6, n_channels=2, n_streams=2).update(sizes[:, None] * values[:, part], times[:, part])
        for part in (slice(0, 30), slice(30, 70))
    )
    for found in (memory, left + right):
        for s, c in np.ndindex(2, 2):
            alone = make(measure, 6).update(values[s, :, c], times[s])
            close(found.coefficients_[s, c] / sizes[s, c], alone.coefficients_[0, 0])
            when = times[s, ::9]
            back = found.reconstruct(np.stack([when, when]))[s, :, c] / sizes[s, c]
            assert_allclose(back, alone.reconstruct(when)[0, :, 0], rtol=0, atol=1e-8)


@pytest.mark.parametrize("gap", [1e-9, 1e-290, 1e-310, 5e-324])
@pytest.mark.parametrize("measure", ["legt", "fout", "lagt", "legs_lti"])
def test_a_steep_rise_is_remembered_for_as_long_as_it_lasted(measure, gap):
    memory = HiPPOMemory(measure, 3, timescale=1.0).update([0.0, 1e300], [0.0, gap])
    expected = (
        1e300 * gap / 2 * oracles.dynamics(measure, 3)[1]
    )  # the integral of the ramp, and nothing is forgotten yet
    assert_allclose(memory.coefficients_[0, 0], expected, rtol=1e-7, atol=1e-15 * 1e300)
    memory.update([0.0, 1.0], [1.0, 100.0])
    assert np.isfinite(memory.coefficients_).all()


@pytest.mark.parametrize("n", [400, 28])  # more than wait, and few enough to wait: refused now or not at all
@pytest.mark.parametrize("measure", ["legt", "fout"])
def test_what_cannot_be_represented_is_refused(measure, n):
    memory = HiPPOMemory(measure, 2, timescale=1.0, n_channels=2, interpolation="hold")
    memory.update([[1.0, 2.0], [3.0, 4.0]], [0.0, 1.0])
    before = memory.to_dict()
    # The input that makes a coefficient largest has the signs of what an impulse leaves of it.
    A, B = oracles.dynamics(measure, 2)
    t = np.linspace(1, 5, n + 1)[1:]
    answers = np.array([expm(A * (5 + 2 / n - s)) @ B for s in t])
    answer = answers[:, np.abs(answers).sum(axis=0).argmax()]
    assert 4 / n * np.abs(answer).sum() > 1.02
    with pytest.raises(ValueError, match="Stream 0, channel 1: the coefficients are beyond the largest numbers"):
        memory.update(np.column_stack([t, 1.79e308 * np.sign(answer)]), t)
    after = memory.to_dict()
    for name in before:
        assert_array_equal(after[name], before[name])


@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", EXACT)
@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("cuts", [[], [1], [1, 2, 3], [2], [4]])
def test_a_tie_at_the_first_stamp(measure, interpolation, cuts, past):
    n = np.nan
    times = np.array([3.0, 3.0, 3.0, 4.5, 7.0])
    values = np.array([[1, n, n], [n, 5, n], [2, 6, n], [n, n, 3], [3, 7, 1]])
    edges = [0, *cuts, 5]
    kwargs = {"n_channels": 3, "interpolation": interpolation, "past": past}
    memory, merged = make(measure, 6, **kwargs), make(measure, 6, **kwargs)
    for a, b in pairwise(edges):
        memory.update(values[a:b], times[a:b])
        merged = merged + make(measure, 6, **kwargs).update(values[a:b], times[a:b])
    for c in range(3):
        expected = oracles.project(measure, 6, times, values[:, c], TIMESCALE, interpolation, past)
        close(memory.coefficients_[0, c], expected, 1e-12)
        close(merged.coefficients_[0, c], expected, 1e-12)


def test_reconstruct_takes_times_of_every_kind():
    pd = optional("pandas")
    stamps = np.datetime64("2024-05-01T10:00", "s") + np.array([0, 60, 180]) * np.timedelta64(1, "s")
    memory = HiPPOMemory(order=2).update([1.0, 2.0, 4.0], stamps)
    utc = [one.item().replace(tzinfo=UTC) for one in stamps]
    zone = pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert("Asia/Tokyo")
    for when in (
        stamps,
        stamps.astype("M8[ns]"),
        list(stamps),
        utc,
        [one.item() for one in stamps],
        zone,
        zone.to_series(),
    ):
        assert_allclose(memory.reconstruct(when)[0, :, 0], [1, 2, 4], rtol=1e-12)
    assert_allclose(memory.reconstruct(stamps[None])[0, :, 0], [1, 2, 4], rtol=1e-12)
    since = HiPPOMemory(order=2).update([1.0, 3.0], stamps[:2] - stamps[0])
    for when in (stamps[:2] - stamps[0], [timedelta(0), timedelta(minutes=1)], [0, 60], pd.to_timedelta([0, 60], "s")):
        assert_allclose(since.reconstruct(when)[0, :, 0], [1, 3], rtol=1e-12)
    with pytest.raises(TypeError, match="Times must be numbers, datetimes or timedeltas"):
        memory.reconstruct(["now", "then"])


def test_threads_share_a_memory():
    memory = HiPPOMemory("lagt", 4, timescale=5.0)

    def work():
        for _ in range(500):
            memory.update([1.0], [0.0])
            memory.update(1.0, 0.0)
            _ = memory.n_observations_

    workers = [threading.Thread(target=work) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for worker in workers:
            worker.start()
        for _ in range(20):
            pickle.loads(pickle.dumps(memory))
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert memory.n_observations_ == 8 * 500 * 2
    assert "_own_lock" not in memory.__getstate__()
    assert copy.deepcopy(memory).n_observations_ == 8000


def test_numbers_are_remembered_as_arrays_are():
    """The short way, of plain numbers, leads to the same bits as the long one, refusals included."""
    rng = np.random.default_rng(0)
    for times in (True, False):
        short, long = HiPPOMemory("lagt", 40, timescale=9.0), HiPPOMemory("lagt", 40, timescale=9.0)
        clock = 5.0
        for k in range(150):
            x = [rng.normal(), int(rng.integers(-9, 9)), np.float64(k), np.nan, -(2.0**70), np.float32(0.1), True][
                k % 7
            ]
            t = [clock, int(clock), np.float64(clock), np.float32(clock)][k % 4]
            clock = max(float(t), clock) + rng.integers(0, 2) + 0.5
            short.update(*([x, t] if times else [x]))
            long.update(np.full((1, 1, 1), x, float), *([np.full((1, 1), t, float)] if times else []))
            for bad in (
                (np.inf,),
                (1.0, np.nextafter(short.time_[0], -np.inf)),
                (1.0, np.nan),
                (1.0, np.inf),
                ("a", clock),
                (1.0, "a"),
                (2.0, 2**53 + 2),
            ):
                with pytest.raises(ValueError, match=r"infinite value|decrease|time at|numbers|beyond 2\*\*53"):
                    short.update(*bad)
            if times:
                with pytest.raises(ValueError, match="give the times"):
                    short.update(1.0)
            mine, others = short.to_dict(), long.to_dict()
            assert mine.keys() == others.keys()
            for name, one in mine.items():
                assert_array_equal(one, others[name])
        short.update(3.0, 1e300)  # a float is a time, however large
        assert short.time_ == [1e300]


def test_values_of_every_kind():
    pd = optional("pandas")
    rows = [[1, Decimal("2.5")], [None, 3], [pd.NA, np.float32(0.5)]]
    expected = HiPPOMemory(order=3, n_channels=2).update([[1, 2.5], [np.nan, 3], [np.nan, 0.5]]).to_dict()
    for values in (rows, np.array(rows, object), pd.DataFrame(rows), pd.DataFrame(rows).convert_dtypes()):
        found = HiPPOMemory(order=3, n_channels=2).update(values).to_dict()
        for name, one in expected.items():
            assert_array_equal(found[name], one)
    memory = HiPPOMemory(order=3).update(Decimal("0.5"), Decimal(1)).update(None, 2).update(pd.Series([2.0]), [3])
    assert_array_equal(memory.to_dict()["waiting_values"][0, :, 0], [0.5, np.nan, 2])
    for wrong in (["a"], "a", [1j], [[1], [2, 3]], object()):
        before = memory.to_dict()["waiting_values"]
        with pytest.raises((ValueError, TypeError), match=r"real numbers|Complex data|rectangular"):
            memory.update(wrong, 4.0)
        assert_array_equal(memory.to_dict()["waiting_values"], before)


# --- some of the streams -------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 90])
@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("measure", MEASURES)
def test_some_streams_are_updated_and_others_stay(measure, past, chunk):
    rng = np.random.default_rng(chunk)
    kwargs = {"n_channels": 2, "past": past, "add_duration": True}
    memory, resumed = make(measure, 9, n_streams=5, **kwargs), make(measure, 9, n_streams=5, **kwargs)
    alone = [make(measure, 9, **kwargs) for _ in range(5)]
    times, values = wild(2, 5, 2000, 2)
    done = np.zeros(5, int)
    for k in range(min(700 // chunk + 12, 150)):  # some blocks of every stream
        streams = rng.permutation(4)[: rng.integers(1, 5)]  # one of the five never comes
        new = done[streams][:, None] + np.arange(chunk)
        for one in (memory, resumed):
            one.update(values[streams[:, None], new], times[streams[:, None], new], streams)
        for s, these in zip(streams, new, strict=True):
            alone[s].update(values[s, these], times[s, these])
        done[streams] += chunk
        if k % 19 == 0:
            resumed = pickle.loads(pickle.dumps(resumed))
            resumed = HiPPOMemory.from_dict(resumed.to_dict())
            assert_array_equal(memory.features(), resumed.features())
            assert_array_equal(memory.n_observations_, done)
            for s in range(5):
                if not done[s]:
                    assert np.isnan(memory.coefficients_[s]).all()
                    assert np.isnan(memory.time_[s])
                    assert memory.features()[s, -1] == 0
                    continue
                close(memory.features()[s], alone[s].features()[0])
                assert memory.time_[s] == alone[s].time_[0]
                when = times[s, : done[s] : 11]
                assert_allclose(memory.reconstruct(when)[s], alone[s].reconstruct(when)[0], rtol=0, atol=1e-7)


@pytest.mark.parametrize("measure", MEASURES)
def test_memories_of_some_streams_merge(measure):
    times, values = wild(4, 4, 90, 2)
    left, right, whole = (make(measure, 6, n_channels=2, n_streams=4) for _ in range(3))
    for one in (left, whole):
        one.update(values[:3, :40], times[:3, :40], [0, 1, 2])
        one.update(values[:1, 40:50], times[:1, 40:50], [0])
    for one in (right, whole):
        one.update(values[[0, 3], 50:], times[[0, 3], 50:], [True, False, False, True])
    close((left + right).coefficients_, whole.coefficients_)
    assert_array_equal((left + right).time_, whole.time_)
    assert_array_equal((left + right).n_observations_, [90, 40, 40, 40])
    with pytest.raises(ValueError, match="Stream 0: the memories overlap"):
        right.merge(left)


def test_bad_updates_of_some_streams_change_nothing():
    memory = HiPPOMemory("legt", 4, n_streams=3, timescale=1.0, interpolation="hold")
    memory.update([1.0, 2.0], [3.0, 4.0], [2, 0]).update(1.0, 9.0, [2])
    assert_array_equal(memory.time_, [4, np.nan, 9])
    before = memory.to_dict()
    for arguments, message in (
        (([1.0], [2.0], [3]), "There is no stream 3: there are 3"),
        (([1.0], [2.0], [-1]), "There is no stream -1"),
        (([1.0, 2.0], [20.0, 21.0], [1, 1]), "Stream 1 is given more than once"),
        (([1.0], [20.0], 1), "streams must be the numbers of some streams, or 3 truth values"),
        (([1.0], [20.0], [0.5]), "streams must be the numbers"),
        (([1.0], [20.0], [True, False]), "streams must be the numbers"),
        (([1.0, 2.0], [8.0, 8.0], [0, 2]), "Stream 2: times decrease at position 0 of the update, from 9.0 to 8.0"),
        (([1.0, np.inf], [9.0, 9.0], [0, 2]), "Stream 2, channel 0: infinite value"),
        (([1.0, 2.0], [9.0, np.nan], [0, 2]), "Stream 2: the time at position 0 is nan"),
        (([1.0, 2.0, 3.0], [9.0, 9.0], [0, 2]), "values must have shape"),
        (([1.0, 2.0], None, [0, 2]), "give the times"),
    ):
        with pytest.raises(ValueError, match=message):
            memory.update(*arguments)
    # One of several groups of streams cannot be represented: the others stay as they were, too.
    A, B = oracles.dynamics("legt", 4)
    t = np.linspace(10, 14, 401)[1:]
    answers = np.array([expm(A * (14.005 - s)) @ B for s in t])
    answer = 1.79e308 * np.sign(answers[:, np.abs(answers).sum(axis=0).argmax()])
    with pytest.raises(ValueError, match="Stream 2, channel 0: the coefficients are beyond"):
        memory.update(np.stack([t, answer]), t, [0, 2])
    after = memory.to_dict()
    for name, one in before.items():
        assert_array_equal(after[name], one)
    assert memory.update([], [], streams=[]).n_observations_.tolist() == [1, 0, 2]
    regular = HiPPOMemory(n_streams=2).update([[5.0, 6.0]], streams=[1]).update([[1.0], [2.0]])
    assert_array_equal(regular.time_, [0, 2])


# --- after a transformer -------------------------------------------------------------------------------


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("add_duration", [False, True])
@pytest.mark.parametrize(
    ("measure", "kwargs"),
    [(measure, {"interpolation": interpolation}) for measure in EXACT for interpolation in ("linear", "hold")]
    + [(m, {"method": "recurrence", "discretization": d}) for m in MEASURES for d in ("zoh", "linear")],
)
def test_features_are_those_of_the_transformer(measure, kwargs, add_duration, past):
    times, values = wild(3, 4, 90, 2, missing=0.3)
    values[3] = np.nan  # a stream of which nothing was seen
    values[2, :, 1] = np.nan
    panel = Panel(values.reshape(-1, 2), times.ravel(), 90 * np.arange(5), channel_names=["pulse", "pressure"])
    transformer = HiPPOTransformer(measure, 7, past=past, add_duration=add_duration, **kwargs).fit(panel)
    memory = HiPPOMemory.from_transformer(transformer, n_streams=4)
    for k in (1, 2, 30, 90):
        n = memory.n_observations_
        memory.update(values[:, n:k], times[:, n:k])
        seen = Panel(
            values[:, :k].reshape(-1, 2), times[:, :k].ravel(), k * np.arange(5), channel_names=["pulse", "pressure"]
        )
        expected = transformer.transform(seen)
        # Two exact ways to the same numbers, of which each is right to 1e-10 of max|f|
        assert_allclose(memory.features(), expected, rtol=0, atol=2e-10 * np.nanmax(np.abs(values)))
    assert_array_equal(memory.get_feature_names_out(), transformer.get_feature_names_out())
    again = HiPPOMemory.from_dict(memory.to_dict())
    assert_array_equal(again.features(), memory.features())
    assert_array_equal(again.get_feature_names_out(), memory.get_feature_names_out())


def test_what_has_no_online_form_is_refused():
    X = [([0.0, 1.0, 3.0], [1.0, 2.0, 0.0])]
    for transformer, message in (
        (HiPPOTransformer("fous").fit(X), "'fous' has no online form"),
        (HiPPOTransformer("chebt").fit(X), "'chebt' has no online form"),
        (HiPPOTransformer("legt").fit(X), "only approaches its projection"),
        (HiPPOTransformer(method="recurrence", discretization="bilinear").fit(X), "'bilinear' does not"),
        (HiPPOTransformer(), "not fitted yet"),
        (HiPPOTransformer().fit(X).set_params(order=3), "'order' has changed since fit"),
    ):
        with pytest.raises(ValueError, match=message):
            HiPPOMemory.from_transformer(transformer)
    with pytest.raises(TypeError, match=r"not a Pipeline; of a pipeline it is a step, such as pipeline\[0\]"):
        HiPPOMemory.from_transformer(make_pipeline(HiPPOTransformer()).fit(X))
    assert HiPPOMemory().order == HiPPOTransformer().order


def test_a_trained_pipeline_predicts_from_a_memory():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 10, (40, 30)), axis=1)
    y = np.arange(40) % 2
    values = np.sin(times * (1 + y[:, None]))
    X = list(zip(times, values, strict=True))
    pipeline = make_pipeline(HiPPOTransformer("legs_lti", 5, add_duration=True), StandardScaler(), LogisticRegression())
    pipeline.fit(X, y)
    memory = HiPPOMemory.from_transformer(pipeline[0], n_streams=40).update(values, times)
    assert_array_equal(pipeline[1:].predict(memory.features()), pipeline.predict(X))
    assert_allclose(pipeline[1:].predict_proba(memory.features()), pipeline.predict_proba(X), rtol=0, atol=1e-9)


def test_names_of_features():
    memory = HiPPOMemory("lagt", 2, timescale=1.0, n_channels=2, add_duration=True)
    assert memory.get_feature_names_out().tolist() == [
        "x0__lagt_c0", "x0__lagt_c1", "x1__lagt_c0", "x1__lagt_c1", "duration"
    ]  # fmt: skip
    assert memory.get_feature_names_out(["a", "b"])[3] == "b__lagt_c1"
    with pytest.raises(ValueError, match="3 names for 2 channels"):
        memory.get_feature_names_out(["a", "b", "c"])
    with pytest.raises(ValueError, match="channel_names has 1 names for 2 channels"):
        HiPPOMemory(n_channels=2, channel_names=["a"]).update([[1.0, 2.0]])
    with pytest.raises(ValueError, match="call update first"):
        memory.features()
    named = HiPPOMemory(n_channels=2, channel_names=("a", "b")).update([[1.0, 2.0]], [0.0])
    other = HiPPOMemory(n_channels=2, channel_names=["a", "c"]).update([[1.0, 2.0]], [1.0])
    with pytest.raises(ValueError, match=r"channel_names=\('a', 'b'\) and \('a', 'c'\)"):
        named.merge(other)
    assert (named + other.reset().set_params(channel_names=["a", "b"])).n_observations_ == 1


def test_timescales_with_a_unit():
    pd = optional("pandas")
    stamps = np.datetime64("2024-05-01", "s") + np.array([0, 60, 7200]) * np.timedelta64(1, "s")
    number = HiPPOMemory("lagt", 3, timescale=5400.0).update([1.0, 2.0, 4.0], stamps)
    for hour in (
        timedelta(minutes=90),
        np.timedelta64(90, "m"),
        pd.Timedelta("90min"),
        np.timedelta64(5400 * 10**9, "ns"),
    ):
        memory = clone(HiPPOMemory("lagt", 3, timescale=hour)).update([1.0, 2.0, 4.0], stamps)
        assert (memory.timescale, type(memory.timescale)) == (hour, type(hour))
        assert_array_equal(memory.coefficients_, number.coefficients_)
        assert_array_equal(memory.reconstruct(stamps), number.reconstruct(stamps))
        assert HiPPOMemory.from_dict(memory.to_dict()).timescale == 5400
        assert (number + HiPPOMemory("lagt", 3, timescale=hour)).n_observations_ == 3
        with pytest.raises(ValueError, match="'timescale' has changed"):
            memory.set_params(timescale=timedelta(hours=2)).update(1.0)
    for wrong in (timedelta(0), np.timedelta64(-1, "s"), np.timedelta64(1, "M"), np.timedelta64("NaT", "s")):
        with pytest.raises(ValueError, match=r"must be positive|no fixed length"):
            HiPPOMemory("lagt", 3, timescale=wrong).update(1.0)


def corruptions():
    stored = HiPPOMemory("lagt", 3, timescale=2.0, n_channels=2).update(np.ones((40, 2)), np.arange(40.0)).to_dict()
    for name in stored:
        yield name, None  # left out
    for name, value in (
        ("state_count", [-1]), ("state_count", [2**62]), ("state_count", [1.5]),
        ("state_count", 3), ("state_count", ["x"]), ("state_count", [[3]]),
        ("state_core", np.full((1, 2, 3), "a")), ("state_core", np.full((1, 2, 3), np.nan)),
        ("state_core", np.full((1, 2, 3), np.inf)), ("state_core", np.zeros((1, 2, 4))),
        ("state_core", np.zeros((1, 2, 3), complex)), ("state_time", [np.nan]), ("state_time", [np.inf]),
        ("state_time", [-1.0]), ("state_heads", [[np.nan, np.nan]]), ("state_heads", [[0.0, 0.0]]),
        ("state_heads", [[0.0, np.nan]]), ("state_heads", [[0.0, 50.0]]), ("state_first_time", [[np.nan, 0.0]]),
        ("state_first_time", [[-1.0, 0.0]]), ("state_first_value", [[np.nan, 0.0]]),
        ("state_last_value", [[np.inf, 0.0]]),
        ("state_last_time", [[np.nan, 39.0]]), ("state_last_time", [[39.0, 41.0]]), ("state_last_time", [[39.0, -1.0]]),
        ("regular", "x"), ("regular", 1), ("regular", [True, False]), ("regular", True),
        ("waiting_times", [[40.0, 39.0]]), ("waiting_times", [[1.0]]), ("waiting_values", np.ones((1, 1, 2))),
        ("waiting_values", [["a"]]), ("format", 2), ("format", [1]), ("format", "x"), ("param_order", 0),
        ("param_order", "x"), ("param_order", 2.5), ("param_measure", "fous"), ("param_timescale", -1.0),
        ("param_n_channels", 3), ("param_interpolation", "x"),
        ("param_past", "x"),
        ("param_add_duration", 3), ("param_channel_names", ["a"]), ("param_channel_names", [1, 2]), ("nonsense", 3),
    ):  # fmt: skip
        yield name, np.asarray(value)


@pytest.mark.parametrize(("name", "value"), list(corruptions()), ids=lambda x: x if isinstance(x, str) else "")
def test_every_corruption_of_a_stored_memory_is_refused_by_name(name, value):
    memory = HiPPOMemory("lagt", 3, timescale=2.0, n_channels=2).update(np.ones((40, 2)), np.arange(40.0) / 2)
    stored = memory.to_dict()
    assert_array_equal(HiPPOMemory.from_dict(stored).coefficients_, memory.coefficients_)
    broken = {key: one for key, one in stored.items() if key != name} | ({} if value is None else {name: value})
    if name == "param_n_channels" and value is not None:
        name = "shape"  # of the arrays that do not fit it
    word = "format" if name == "format" else name.removeprefix("param_").removeprefix("state_").removeprefix("waiting_")
    with pytest.raises(ValueError, match=word):
        HiPPOMemory.from_dict(broken)


def test_a_restored_memory_has_arrays_of_its_own():
    for m in (5, 100):
        stored = HiPPOMemory(order=4).update(np.arange(float(m))).to_dict()
        memory = HiPPOMemory.from_dict(stored)
        before = memory.coefficients_
        for one in stored.values():
            if one.ndim:
                one.fill(7)
        assert_array_equal(memory.coefficients_, before)


@pytest.mark.parametrize("measure", ["legs", "lagt", "legs_lti", "legt", "fout"])
def test_threads_change_nothing(measure):
    rng = np.random.default_rng(0)
    times, values = np.cumsum(rng.exponential(size=(9, 70)), axis=1), rng.normal(size=(9, 70, 2))
    values[rng.random(values.shape) < 0.2] = np.nan
    made = []
    for n_jobs in (None, 2, -1):
        first, second = (HiPPOMemory(measure, 7, n_channels=2, n_streams=9, timescale=9.0, n_jobs=n_jobs) for _ in "ab")
        first.update(values[:, :50], times[:, :50])
        second.update(values[:, 50:], times[:, 50:])
        made.append(first + second)
        assert made[-1].n_jobs == n_jobs
    for one in made[1:]:
        assert_array_equal(one.coefficients_, made[0].coefficients_)
    assert_array_equal((made[0] + HiPPOMemory(**made[1].get_params())).coefficients_, made[0].coefficients_)
    assert HiPPOMemory.from_dict(made[1].to_dict()).n_jobs == 2
    with pytest.raises(ValueError, match="n_jobs == 0"):
        HiPPOMemory(n_jobs=0).update(1.0)


def test_times_are_of_one_kind():
    day = np.datetime64("2026-01-01")
    numbers, dates = HiPPOMemory(order=2).update(1.0, 0.0), HiPPOMemory(order=2).update(1.0, day)
    with pytest.raises(ValueError, match=r"times are of another kind \(datetime\) than those .* so far \(numbers\)"):
        numbers.update(2.0, day)
    with pytest.raises(ValueError, match=r"times are of another kind \(numbers\) than those .* so far \(datetime\)"):
        dates.update(2.0, 2e9)
    with pytest.raises(ValueError, match="The times of these memories are of different kinds: numbers and datetime"):
        numbers + dates
    for copied in (pickle.loads(pickle.dumps(dates)), dates + HiPPOMemory(order=2).update(1.0, day + 1)):
        with pytest.raises(ValueError, match="another kind"):
            copied.update(2.0, 3e9)
    HiPPOMemory.from_dict(dates.to_dict()).update(2.0, day + 2)  # which does not know
    dates.reset().update(1.0, 0.0).update(1.0, 1.0)


def test_channels_of_frames_are_known_by_name():
    pd = pytest.importorskip("pandas")
    memory = HiPPOMemory(order=2, n_channels=2, channel_names=["u", "v"])
    frame = pd.DataFrame({"u": [1.0, 1.0], "v": [9.0, 9.0]})
    with pytest.raises(ValueError, match=r"values have the channels \['v', 'u'\], but this memory has \['u', 'v'\]"):
        memory.update(frame[["v", "u"]], [0.0, 1.0])
    memory.update(frame, [0.0, 1.0]).update(pd.DataFrame(frame.to_numpy()), [2.0, 3.0])
    assert_allclose(memory.features(), [[1, 0, 9, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["waiting_times"].__setitem__((0, -1), np.nan), "a time is NaN, and it is not behind"),
        (lambda d: d["waiting_times"].__setitem__((0, 0), np.nan), "a time is NaN, and it is not behind"),
        (lambda d: d["waiting_times"].__setitem__(slice(None), np.nan), "a time is NaN, and it is not behind"),
    ],
)
def test_waiting_observations_have_times(change, message):
    stored = HiPPOMemory(order=2).update([1.0, 2.0, 30.0], [0.0, 1.0, 2.0]).to_dict()
    change(stored)
    with pytest.raises(ValueError, match=f"waiting_times and waiting_values do not fit: .*{message}"):
        HiPPOMemory.from_dict(stored)


OF_TIMES = HiPPOMemory(order=2).update([1.0, 2.0, 4.0], [0.0, 1.0, 2.5]).to_dict()
REGULAR = HiPPOMemory(order=2).update([1.0, 2.0, 4.0]).to_dict()
ENTERED = HiPPOMemory(order=2, n_streams=2).update(np.ones((2, 100))).to_dict()


@pytest.mark.parametrize(
    ("stored", "change", "message"),
    [
        (OF_TIMES, {"regular": np.array(True)}, "regular is true, but waiting_times do not go on"),
        (REGULAR, {"waiting_times": REGULAR["waiting_times"] + 0.5}, "regular is true, but waiting_times do not go on"),
        (REGULAR, {"waiting_values": np.full((1, 3, 1), {}, object)}, "waiting_values must hold numbers"),
        (ENTERED, {"waiting_times": np.empty((2, 0), str)}, "waiting_times and waiting_values must hold numbers"),
        (ENTERED, {"state_count": np.array([1, 0])}, "state_(count|time) is"),
        (REGULAR, {"state_heads": np.array([[np.nan, 3.0]])}, "state_(count|heads)"),
        (REGULAR, {"state_core": np.full((1, 1, 2), 7.0)}, "state_core is not zero where nothing was observed"),
        (REGULAR, {"param_order": np.array(True)}, "param_order must be no truth value"),
        (REGULAR, {"param_order": np.array(10**9)}, "state_core has shape"),
        (
            REGULAR,
            {"param_n_streams": np.array(10**12)},
            r"state_core has shape \(1, 1, 2\), not that of param_n_str",
        ),
        (REGULAR, {"state_core": [[1.0, 2.0], [3.0]]}, "This is not a memory"),
        (REGULAR, {"format": np.array(True)}, "This is not a memory in format 1"),
        (None, None, "This is not a memory"),
        ([1, 2], None, "This is not a memory"),
    ],
)
def test_entries_that_contradict_each_other(stored, change, message):
    with pytest.raises(ValueError, match=message):
        HiPPOMemory.from_dict(stored if change is None else stored | change)
