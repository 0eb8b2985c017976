"""What a bug report should say of the installation: ``python -m sklearn_hippo.show_versions``."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from joblib import cpu_count

from ._ext_projection import simd_name

__all__ = ["show_versions"]

PACKAGES = (
    "sklearn-hippo",
    "numpy",
    "scipy",
    "scikit-learn",
    "joblib",
    "torch",
    "skorch",
    "sktime",
    "pandas",
    "polars",
    "pyarrow",
    "matplotlib",
)


def show_versions() -> None:
    """Print the versions of Python and the packages, the machine, and the instruction set of the compiled kernels.

    Examples
    --------
    >>> from sklearn_hippo.show_versions import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    python        3...
    """
    facts = {"python": sys.version.split()[0], "platform": platform.platform(), "cpus": str(cpu_count())}
    facts["kernels"] = simd_name()
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    for name, fact in facts.items():
        print(f"{name:<13} {fact}")


if __name__ == "__main__":
    show_versions()
