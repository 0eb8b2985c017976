"""Build the compiled modules; everything else is in pyproject.toml."""

import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# No -march: the kernels choose their instruction set when they are loaded. MSVC has no vector types, and compiles the
# same kernels for one lane.
OPTIMIZE = {"msvc": ["/O2"], "unix": ["-O3", "-ffp-contract=fast", "-fno-math-errno"]}
# Which flags ask for OpenMP: of GCC and clang, and of Apple's clang with the libomp of Homebrew, if it is on the paths.
OPENMP = {
    "msvc": [(["/openmp"], [])],
    "unix": [(["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])],
}
WITHOUT = {"msvc": ([], []), "unix": (["-fopenmp-simd"], [])}  # the hints for vectorization need no library
MODULES = ("projection", "recurrence", "rnn", "pooling", "ssm", "tables")
# One build for CPython from 3.11 on; free-threaded ones have no stable interface. Transforms are as fast.
LIMITED = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
# Whatever a module may include.
INCLUDED = sorted(str(path) for path in Path("_ext").glob("*") if path.suffix in (".h", ".pxi"))


class Build(build_ext):
    """Flags depend on the compiler, not on the platform, and OpenMP on whether it works.

    Without it the package is complete, and has one thread.
    """

    def build_extensions(self):
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        found = next(filter(self.openmp_works, OPENMP[kind]), None)
        print("OpenMP:", "found" if found else "none, one thread")
        compile_flags, link_flags = found or WITHOUT[kind]
        for extension in self.extensions:
            extension.extra_compile_args = OPTIMIZE[kind] + compile_flags
            extension.extra_link_args = link_flags
        super().build_extensions()

    def openmp_works(self, flags):
        """Whether a program with OpenMP compiles and links. (It may be for another machine, and is not run.)"""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "openmp.c"
            source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=flags[0])
                self.compiler.link_executable(objects, "openmp", output_dir=folder, extra_postargs=flags[1])
            except Exception:  # whatever the compiler raises
                return False
        return True


setup(
    cmdclass={"build_ext": Build},
    ext_modules=[
        Extension(
            f"sklearn_hippo._ext_{name}",
            [f"_ext/{name}.pyx"],
            depends=INCLUDED,
            include_dirs=["_ext"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
            py_limited_api=LIMITED,
        )
        for name in MODULES
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
