import os

import pytest

# Before scipy and matplotlib are imported: otherwise scikit-learn skips its array API check, and plots want a screen.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Processes that tests start import the package that is installed, not a checkout in which nothing is compiled.
os.environ.setdefault("PYTHONSAFEPATH", "1")

from sklearn_hippo import _ext_pooling, _ext_projection, _ext_recurrence, _ext_rnn

KERNELS = [_ext_pooling, _ext_projection, _ext_recurrence, _ext_rnn]


def use_simd(name):
    for kernel in KERNELS:
        kernel.use_simd(name)


FORCED = os.environ.get("SKLEARN_HIPPO_SIMD") or None


def offered():
    """The instruction sets of this machine, or the one that the environment asks for."""
    if FORCED:
        return [FORCED]
    names = []
    for name in ("avx512", "avx2", "baseline"):
        try:
            use_simd(name)
        except ValueError:
            continue
        names.append(name)
    use_simd(None)
    return names


OFFERED = offered()


def pytest_collection_modifyitems(items):
    """What no kernel takes part in, as networks in plain PyTorch, need not run under every instruction set."""
    plain = {"gate": "gru", "discretization": "zoh", "measure": "rand", "way": "plain"}

    def again(item):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        networks = item.path.name == "test_nn.py" and params.get("simd") in OFFERED[:-1]
        return networks and any(params.get(name) == value for name, value in plain.items())

    items[:] = [item for item in items if not again(item)]


@pytest.fixture(scope="module", params=OFFERED)
def simd(request):
    """All tests of a module that uses it run once under each instruction set."""
    use_simd(request.param)
    yield request.param
    use_simd(FORCED)
