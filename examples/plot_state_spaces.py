r"""
What a state space remembers
============================

A HiPPO operator, :math:`c' = A c + B u`, keeps the coefficients of its input's past in a basis. `HiPPOSSM` keeps only
modes, :math:`x' = \lambda x + u`, whose :math:`\lambda` begin as eigenvalues of the normal part of such an operator.
This page compares the two: which past is in the modes, how far back it goes, and what it owes to the rate of sampling.
Nothing is trained here, and time is in units of the timescale, 1 / Delta.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.linalg import expm
from scipy.special import eval_laguerre, eval_legendre

from sklearn_hippo._measures import dynamics_of
from sklearn_hippo.nn import HiPPOSSM

COLORS = {"legs_lti": "C0", "lagt": "C1", "legt": "C2", "fout": "C3"}
SLIDING = ("legt", "fout")


def functions(measure, age, n_functions):
    """The basis over the age of what is remembered, (ages, n_functions); of a sliding window, zero beyond it."""
    n, s = np.arange(n_functions), age[:, None]
    if measure == "lagt":
        return eval_laguerre(n, s)
    if measure == "fout":  # 1, and cosine and sine of each harmonic
        m = (n + 1) // 2
        wave = np.where(n % 2, np.cos(2 * np.pi * m * s), -np.sin(2 * np.pi * m * s))
        return np.where(n, np.sqrt(2) * wave, 1) * (s <= 1)
    if measure == "legt":
        return np.sqrt(2 * n + 1) * eval_legendre(n, 1 - 2 * s) * (s <= 1)
    return np.sqrt(2 * n + 1) * eval_legendre(n, 2 * np.exp(-s) - 1)


def operator(measure, order):
    """Dynamics of a measure; an odd number of Fourier coefficients, so that no sine lacks its cosine."""
    return dynamics_of(measure, order - (measure == "fout"))


# %%
# The kernels
# -----------
#
# A coefficient is the input's past, weighted by a kernel: :math:`K(t) = e^{tA} B`, in colour, for the first four
# coefficients at order 64. Two measures decay, :math:`K_n = e^{-t} \sqrt{2n+1}\, P_n(2 e^{-t} - 1)` for ``legs_lti``
# and :math:`K_n = e^{-t} L_n(t)` for ``lagt``, with the polynomials of Legendre and of Laguerre. There the operator is
# the closed form, dashed, to rounding. The two others have a window: :math:`\sqrt{2n+1}\, P_n(1 - 2t)` for ``legt``,
# and cosines and sines for ``fout``, until t = 1 and zero from there. The edge has to be made of smooth functions, and
# rings: operator and closed form differ by a tenth.

t = np.linspace(0, 3, 601)
figure, axes = plt.subplots(2, 2, figsize=(7, 5), sharex=True, layout="constrained")
for ax, (measure, color) in zip(axes.flat, COLORS.items(), strict=True):
    system = operator(measure, 64)
    step = expm(system.A * t[1])
    kernels = [system.B]
    for _ in t[1:]:
        kernels.append(step @ kernels[-1])
    kernels = np.array(kernels)[:, :4]
    closed = functions(measure, t, 4) * (1 if measure in SLIDING else np.exp(-t[:, None]))
    for n in range(4):
        ax.plot(t, kernels[:, n], color=color, alpha=1 - 0.22 * n, linewidth=2.5, label=f"n = {n}")
        ax.plot(t, closed[:, n], color="k", linestyle="--", linewidth=0.8, label="closed form" if n == 3 else None)
    ax.set_title(measure)
    apart = np.sqrt(np.mean((kernels - closed) ** 2) / np.mean(closed**2))
    print(f"{measure:8s} operator and closed form are {apart:.0e} apart")
    assert 0.05 < apart < 0.15 if measure in SLIDING else apart < 1e-12
axes[0, 0].legend(frameon=False)
for ax in axes[1]:
    ax.set_xlabel("age / timescale")
for ax in axes[:, 0]:
    ax.set_ylabel("kernel")

# %%
# The modes
# ---------
#
# The layer drops a part of the operator. :math:`A` is normal but for :math:`-V^\top V`, which feeds back what is
# remembered of the ends of the window: the newest value, for which a half of :math:`B` can stand, and under a window
# also the value that leaves it. The modes are those of the normal part, with a half of :math:`B`. Set to read the
# coefficients from its modes, one in each channel, a layer is the operator's diagonal twin.


def layer_of(measure, order, delta=1.0):
    """A layer whose channels are the coefficients, as its modes have them."""
    system = operator(measure, order)
    skew = system.A + system.damping * np.eye(len(system.B)) + system.V.T @ system.V
    minus, U = np.linalg.eigh(1j * skew)
    kept = np.flatnonzero(minus < 1e-9 * minus.max())[::-1]  # one of each pair; the slowest first
    frequency, U = -minus[kept], U[:, kept]
    read = U * (U.conj().T @ system.B / 2)
    read[:, frequency < 1e-9 * frequency.max()] /= 2  # a mode without a twin is not to be counted twice
    layer = HiPPOSSM(
        len(system.B), order, measure=measure, shortest=delta, longest=delta, dtype=torch.float64
    ).requires_grad_(False)
    assert np.allclose(layer.frequency[:, 0].numpy(), frequency, atol=1e-6)  # the layer begins with these modes
    layer.read.copy_(torch.view_as_real(torch.tensor(read.T)))
    layer.through.zero_()
    return layer


def respond(layer, u, step):
    """Outputs of a layer for one signal on all of its channels."""
    u = torch.as_tensor(u)[None, :, None].expand(1, -1, layer.d_model).contiguous()
    return layer(u, step)[0][0].detach().numpy()


def exact(measure, order, u, step):
    """The whole operator's coefficients for a broken line."""
    system = operator(measure, order)
    n = len(system.B)
    block = np.zeros((n + 2, n + 2))
    block[:n, :n], block[:n, n], block[n, n + 1] = system.A * step, system.B * step, 1
    block = expm(block)
    E, P, Q = block[:n, :n], block[:n, n] - block[:n, n + 1], block[:n, n + 1]
    c = [np.zeros(n)]
    for before, now in pairwise(u):
        c.append(E @ c[-1] + P * before + Q * now)
    return np.array(c)


# %%
# As functions, the kernels of the two differ by as much as they are large, on the left: that of the modes swings about
# that of the operator. On a smooth input, on the right, the swings average out. Drawn is by how much the first six
# coefficients differ over time, relative to their size. Of the decaying measures the difference falls with the order,
# at 128 to 0.02 % for ``legs_lti`` and to 0.5 % for ``lagt``. Of the windows it falls only while the signal is younger
# than the window (solid). Once the window is full (dashed), it is larger than the coefficients at every order: nothing
# takes away what should leave.

orders = (8, 16, 32, 64, 128)
u = np.sin(2 * t)
young, old = (t > 0.5) & (t < 0.95), t > 1.5


def difference(a, b):
    """Relative."""
    return np.linalg.norm(a - b) / np.linalg.norm(b)


figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained")
layer = layer_of("legs_lti", 16)
fine = np.linspace(0, 3, 6001)
rate = torch.complex(-layer.log_decay.exp(), layer.frequency)[:, 1]
swinging = 2 * (torch.view_as_complex(layer.read)[:, 1] * torch.exp(rate * torch.tensor(fine)[:, None])).sum(1).real
kernel = functions("legs_lti", fine, 2)[:, 1] * np.exp(-fine)
print(f"kernels differ by {difference(swinging.numpy(), kernel):.2f} of the operator's")
assert 0.8 < difference(swinging.numpy(), kernel) < 1.3
left.plot(fine, swinging, color="0.6", linewidth=1, label="modes")
left.plot(fine, kernel, color=COLORS["legs_lti"], linewidth=2, label="operator")
left.set(xlabel="age / timescale", ylabel="kernel", title="legs_lti, n = 1, order 16")
left.legend(frameon=False)
errors = {}
for measure, color in COLORS.items():
    pairs = [(respond(layer_of(measure, n), u, t[1])[:, :6], exact(measure, n, u, t[1])[:, :6]) for n in orders]
    for when, style in ((young, "o-"), (old, "o--")):
        errors[measure, style] = [difference(a[when], b[when]) for a, b in pairs]
        right.loglog(orders, errors[measure, style], style, color=color, markersize=4)
        print(f"{measure:8s}", "young" if when is young else "old  ", *(f"{e:.1e}" for e in errors[measure, style]))
    right.plot([], [], color=color, label=measure)
right.plot([], [], "k-", label="t < 1")
right.plot([], [], "k--", label="t > 1")
right.set_xticks(orders, [str(n) for n in orders])
right.minorticks_off()
right.set(xlabel="order", ylabel="relative difference", title="smooth input", ylim=(3e-7, 3))
right.legend(frameon=False, ncols=3, columnspacing=1, handlelength=1.2, loc="lower center")
for n in ("legs_lti", "lagt"):
    assert errors[n, "o--"][-1] < (0.0003 if n == "legs_lti" else 0.006)
for n in SLIDING:
    assert errors[n, "o-"][-1] < 0.002
    assert min(errors[n, "o--"]) > 1

# %%
# The past
# --------
#
# What that means for a signal. Three timescales of it have gone by, layers of order 64 have read it, and the first 15
# coefficients in their last state are turned back into a past, dashed; in colour is the past of the whole operator.
# Of the last timescale, the operators miss 8 % with ``legs_lti``, 45 % with ``lagt``, less than 1 % with ``legt`` and
# 13 % with ``fout``. The first two reach further back, and ever more roughly; the windows know nothing of the time
# before.
#
# The modes of the first two follow their operators, to 2 % and 7 %. Those of ``legt`` and ``fout`` know too much: a
# mode that hardly decays repeats itself, and all windows of the past lie on top of one another. Under ``fout`` they add
# up; under ``legt``, whose modes come back with the other sign, every second one is subtracted. From such sums of three
# windows the pasts differ by 15 % and by 5 %. Before it is trained, a layer of these modes has no window: it is right
# for a signal that is shorter than one.


def signal(t):
    """Smooth, and without a period in common with the windows."""
    return np.sin(2 * np.pi * t / 1.7) + 0.5 * np.sin(2 * np.pi * t / 0.6 + 1)


t = np.linspace(0, 3, 1501)
ages = np.linspace(0, 2.995, 600)
recent = ages < 0.99
figure, axes = plt.subplots(4, 1, figsize=(7, 7.5), sharex=True, sharey=True, layout="constrained")
for ax, (measure, color) in zip(axes, COLORS.items(), strict=True):
    basis = functions(measure, ages, 15)
    whole = basis @ exact(measure, 64, signal(t), t[1])[-1, :15]
    modes = basis @ respond(layer_of(measure, 64), signal(t), t[1])[-1, :15]
    shown = ages <= 1 if measure in SLIDING else ages < 3
    ax.plot(3 - ages, signal(3 - ages), color="0.75", linewidth=4, label="signal")
    ax.plot(3 - ages[shown], whole[shown], color=color, label="operator")
    ax.plot(3 - ages[shown], modes[shown], color="k", linestyle="--", linewidth=1, label="modes")
    ax.set_title(measure, loc="left")
    ax.legend(frameon=False, ncols=3, loc="upper left")
    missed = difference(whole[recent], signal(3 - ages[recent]))
    print(f"{measure:8s} misses {missed:.3f}, modes and operator {difference(modes[recent], whole[recent]):.3f}")
    assert abs(missed - {"legs_lti": 0.075, "lagt": 0.45, "legt": 0.005, "fout": 0.13}[measure]) < 0.006
    if measure in SLIDING:
        sign = -1 if measure == "legt" else 1
        windows = sum(sign**k * signal(3 - ages - k) for k in range(3))
        print(f"{measure:8s} modes and the three windows {difference(modes[recent], windows[recent]):.2f}")
        assert difference(modes[recent], windows[recent]) < 0.16
axes[0].set_ylim(-3, 3)
axes[-1].set_xlabel("time / timescale")

# %%
# The clock and the rate
# ----------------------
#
# With the same modes, a layer reaches as far back as its clock says. On the left, an input is switched on, and the
# first coefficient of ``legs_lti``, a mean of the past, follows: with Delta from 0.1 to 0.001, the same curve a decade
# later. It has come 63 % of the way after about 1 / Delta: 10, 100 or 1,000 units of the steps.
#
# These units should be units of time. On the right, layers as they are at first, with the default range of Delta and
# random weights, read a smooth signal of duration 1,024, sampled every 1, 2 or 4 units, and their outputs are compared
# with those for samples every 1/8. Where each observation counts as one step of 1 (grey), the layer takes every second
# sample for a signal twice as fast, and its outputs change by more than their size. Where steps are as long as they
# are, or shares of the duration, as with ``relative=True`` in `HiPPOSSMClassifier`, only the error of a step is left.
#
# A step of ``foh``, the default, is exact for a broken line, so that its error is the line's own: 0.04 % where samples
# are 1 apart, and 0.7 % at 4. ``zoh`` holds each value since the one before, and ``bilinear`` turns fast modes too
# slowly: both change by about 3 % at 1, and by 12 to 13 % at 4. What a classifier makes of such changes is not measured
# here.

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained")
ones = np.ones(10001)
for delta, style in ((0.1, "-"), (0.01, "--"), (0.001, ":")):
    mean = respond(layer_of("legs_lti", 64, delta), ones, 1.0)[:, 0]
    left.semilogx(mean, color=COLORS["legs_lti"], linestyle=style, label=f"Delta = {delta}")
    reached = np.argmax(mean > 1 - np.exp(-1))
    print(f"Delta = {delta}: 63 % after {reached} steps")
    assert abs(reached * delta - 1) < 0.11
left.set(xlabel="time since the input began, in steps", ylabel="first coefficient", title="legs_lti, order 64")
left.set(xlim=(1, 10000), ylim=(-0.05, 1.6), yticks=np.linspace(0, 1, 6))
left.legend(frameon=False, loc="upper left")


def outputs(discretization, every, step):
    """Of a random layer, every 4 units of time; D, which knows no time, is left out."""
    torch.manual_seed(0)
    layer = HiPPOSSM(256, discretization=discretization, dtype=torch.float64).requires_grad_(False)
    layer.through.zero_()
    t = np.arange(0, 1024 + every / 2, every)
    return respond(layer, np.sin(2 * np.pi * t / 200) + 0.5 * np.sin(2 * np.pi * t / 60 + 1), step)[:: round(4 / every)]


rates = (1, 2, 4)
change = {"one step each": [difference(outputs("foh", h, 1.0), outputs("foh", 1 / 8, 1.0 / 8)) for h in rates]}
for name in ("zoh", "bilinear", "foh"):
    change[name] = [difference(outputs(name, h, h), outputs(name, 1 / 8, 1 / 8)) for h in rates]
for (name, errors), color in zip(change.items(), ("0.6", "C4", "C5", "C6"), strict=True):
    right.loglog(rates, errors, "o-", color=color, markersize=4, label=name)
    print(f"{name:13s}", *(f"{100 * e:7.2f} %" for e in errors))
for name in ("zoh", "bilinear"):
    assert 0.02 < change[name][0] < 0.04
    assert 0.11 < change[name][2] < 0.14
assert change["foh"][0] < 0.0006
assert change["foh"][2] < 0.009
assert min(change["one step each"][1:]) > 1
right.set_xticks(rates, [str(h) for h in rates])
right.minorticks_off()
right.set(xlabel="time between samples", ylabel="relative change", title="against samples every 1/8")
right.set_ylim(1e-5, 3)
right.legend(frameon=False, ncols=2, loc="lower right")
plt.show()
