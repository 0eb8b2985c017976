"""What a bug report should say of the installation: ``python -m sklearn_hippo.show_versions``."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from joblib import cpu_count

from ._ext_projection import has_openmp, simd_name

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
    "river",
    "pandas",
    "polars",
    "pyarrow",
    "matplotlib",
)


def show_versions() -> None:
    """Print the versions of Python and the packages, the machine, and how the kernels were compiled.

    Examples
    --------
    >>> from sklearn_hippo.show_versions import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    python        3...
    """
    facts = {"python": sys.version.split()[0], "platform": platform.platform(), "cpus": str(cpu_count())}
    facts["kernels"] = f"{simd_name()}, {'OpenMP' if has_openmp() else 'one thread'}"
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    for name, fact in facts.items():
        print(f"{name:<13} {fact}")


if __name__ == "__main__":
    show_versions()
