"""Libraries that the package can do without, and its tests too."""

import importlib

import pytest


class Missing:
    """Skips the test that asks for anything."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        if attribute.startswith(("_", "pytest")):  # where pytest looks for tests
            raise AttributeError(attribute)
        pytest.skip(f"needs {self._name}")


def optional(name):
    """A library, or what skips the tests that use it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return Missing(name)
