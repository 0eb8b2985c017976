"""Build the compiled modules; everything else is in pyproject.toml."""

import sys

from setuptools import Extension, setup

# OpenMP is optional: without it the package is complete, and works with one thread.
OPENMP = {"linux": (["-fopenmp"], ["-fopenmp"]), "win32": (["/openmp"], [])}
compile_openmp, link_openmp = OPENMP.get(sys.platform, ([], []))
# No -march: the kernels choose their instruction set when they are loaded.
optimize = ["/O2"] if sys.platform == "win32" else ["-O3", "-ffp-contract=fast", "-fno-math-errno"]

setup(
    ext_modules=[
        Extension(
            "sklearn_hippo._ext_projection",
            ["_ext/projection.pyx"],
            depends=["_ext/moments.h", "_ext/moments_body.h"],
            include_dirs=["_ext"],
            extra_compile_args=optimize + compile_openmp,
            extra_link_args=link_openmp,
        ),
    ],
)
