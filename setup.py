"""Build the compiled modules; everything else is in pyproject.toml."""

import sys

from setuptools import Extension, setup

# OpenMP is optional: without it the package is complete, and works with one thread.
OPENMP = {"linux": (["-fopenmp"], ["-fopenmp"]), "win32": (["/openmp"], [])}
compile_openmp, link_openmp = OPENMP.get(sys.platform, ([], []))
# No -march: the kernels choose their instruction set when they are loaded.
optimize = ["/O2"] if sys.platform == "win32" else ["-O3", "-ffp-contract=fast", "-fno-math-errno"]

HEADERS = {
    "projection": ["_ext/moments.h", "_ext/moments_body.h"],
    "rnn": ["_ext/cell.h", "_ext/cell_dispatch.h", "_ext/cell_body.h", "_ext/moments.h", "_ext/moments_body.h"],
    "recurrence": ["_ext/wavefront.h", "_ext/wavefront_body.h", "_ext/moments.h", "_ext/moments_body.h"],
}

setup(
    ext_modules=[
        Extension(
            f"sklearn_hippo._ext_{name}",
            [f"_ext/{name}.pyx"],
            depends=headers,
            include_dirs=["_ext"],
            extra_compile_args=optimize + compile_openmp,
            extra_link_args=link_openmp,
        )
        for name, headers in HEADERS.items()
    ],
)
