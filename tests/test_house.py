"""The architecture: who imports whom, and what an import costs."""

import ast
import importlib
import importlib.util
import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from numpydoc.validate import validate

import sklearn_hippo

PACKAGE = Path(sklearn_hippo.__file__).parent
ROOT = Path(__file__).parents[1]

# Each module and the ones of ours that it may import. A leaf imports nothing of ours.
# fmt: off
MAY_IMPORT = {
    # leaves
    "_bases": set(),
    "_columns": set(),
    "_compat": set(),
    "_dynamics": set(),
    "_machine": set(),
    "_scales": set(),
    # measures and series
    "_measures": {"_bases", "_dynamics"},
    "_ids": {"_columns"},
    "_reading": {"_columns", "_ids"},
    "_long": {"_columns", "_ext_tables", "_ids"},
    "_interop": {"_columns", "_reading"},
    "_conversions": {"_columns", "_ids", "_interop", "_long", "_reading"},
    "_panel": {"_columns", "_conversions", "_ids"},
    "_validation": {"_columns", "_ids", "_panel", "_reading"},
    "datasets": {"_panel", "_validation"},
    # numbers
    "_projection": {"_bases", "_ext_projection", "_measures", "_panel"},
    "_recurrence": {"_dynamics", "_ext_projection", "_ext_recurrence", "_measures", "_panel", "_projection"},
    "nn._described": set(),
    "nn._inputs": set(),
    "nn._steps": {"_dynamics", "_machine", "_measures"},
    "nn._gated": {"_ext_rnn", "nn._inputs", "nn._steps"},
    "nn._rnn": {"_measures", "nn._described", "nn._gated", "nn._inputs", "nn._steps"},
    "nn._space": {"_ext_ssm", "nn._inputs"},
    "nn._low_rank": {"nn._space"},
    "nn._ssm": {"nn._low_rank", "_dynamics", "_measures", "nn._described", "nn._inputs", "nn._space", "nn._steps"},
    "nn._selective": {"_ext_ssm", "nn._described", "nn._inputs", "nn._space", "nn._ssm", "nn._steps"},
    "nn.__init__": {"nn._rnn", "nn._selective", "nn._ssm"},
    "_head": set(),
    "_views": {"_ext_pooling", "_panel", "_projection"},
    # estimators
    "_random": {"_compat", "_machine", "_panel", "_scales", "_summaries", "_validation", "_views"},
    "_parts": {"_head", "_panel", "_scales", "_validation"},
    "_ridge": {"_columns", "_compat", "_head", "_machine", "_panel", "_parts", "_random", "_scales", "_validation"},
    "_transformer": {"_columns", "_compat", "_ids", "_machine", "_measures", "_panel", "_projection", "_recurrence",
                     "_validation"},
    "_state": {"_measures", "_panel", "_projection", "_recurrence"},
    "_memory": {"_columns", "_compat", "_machine", "_measures", "_panel", "_projection", "_recurrence", "_state"},
    "_streams": {"_long", "_machine", "_state"},
    "_bank_file": {"_columns", "_state"},
    "_bank_ids": {"_columns"},
    "_bank": {"_bank_file", "_bank_ids", "_columns", "_compat", "_ext_tables", "_ids", "_long", "_machine", "_memory",
              "_projection", "_state", "_streams"},
    "_batches": {"_panel"},
    "_training": set(),
    "_session": {"_batches", "_panel", "_training"},
    "_network": {"_batches", "_columns", "_compat", "_panel", "_scales", "_session", "_validation"},
    "_targets": {"_columns", "_compat", "_network", "_panel", "_scales", "_validation"},
    "_rnn": {"_compat", "_machine", "_measures", "_network", "_panel", "_targets", "nn", "nn._gated", "nn._steps"},
    "_resampling": {"_panel"},
    "_blocks": {"_network", "nn", "nn._inputs", "nn._space"},
    "_ssm": {"_blocks", "_compat", "_machine", "_network", "_panel", "_resampling", "_targets", "nn._space", "nn._ssm"},
    "_sktime_features": {"_panel", "_transformer", "_validation"},
    "_summaries": {"_panel"},
    "_sktime_ridge": {"_ridge", "_sktime_features"},
    "_sktime_networks": {"_rnn", "_sktime_features", "_ssm"},
    "_stopping": {"_panel"},
    "_early": {"_columns", "_compat", "_head", "_panel", "_ridge", "_stopping", "_validation"},
    "__init__": {"_bank", "_early", "_memory", "_panel", "_random", "_ridge", "_rnn", "_ssm", "_transformer"},
    "sktime": {"_sktime_features", "_sktime_ridge", "_sktime_networks"},
    "river": {"_columns", "_ids", "_measures", "_memory"},
    "_contributions": {"_head", "_panel", "_views"},
    "inspection": {"_contributions", "_measures", "_panel", "_projection", "_ridge", "_transformer", "_validation"},
    "show_versions": {"_ext_projection"},
}
TRAINED = {"_batches", "_blocks", "_network", "_rnn", "_session", "_ssm", "_targets", "_training"}
FOREIGN = {"torch": TRAINED | {"nn._described", "nn._gated", "nn._inputs", "nn._low_rank", "nn._rnn", "nn._selective",
                               "nn._space", "nn._ssm", "nn._steps"},
           "skorch": {"_session", "_training"},
           "sktime": {"datasets", "_sktime_features", "_sktime_ridge", "_sktime_networks"},
           "pandas": {"_compat", "_sktime_features"}, "polars": {"_compat"}, "pyarrow": {"_bank_file"},
           "matplotlib": {"inspection"}, "river": {"river"}}
# fmt: on


def name_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports(path):
    """Foreign libraries by their first name, ours by their path below the package, with a dot before it."""
    inside = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = inside[: len(inside) - (node.level - 1)]
                for target in [node.module] if node.module else [alias.name for alias in node.names]:
                    yield "." + ".".join([*base, target])
            else:
                yield node.module.split(".")[0]


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="a free-threaded interpreter")
def test_kernels_do_not_ask_for_the_gil():
    # Python brings the lock back, with a warning, for an extension that does not say that it can do without.
    code = "import sys, sklearn_hippo._ext_projection, sklearn_hippo._ext_recurrence, sklearn_hippo._ext_rnn, "
    code += "sklearn_hippo._ext_pooling, sklearn_hippo._ext_tables; {}"
    command = [sys.executable, "-W", "error", "-c", code.format("sys.exit(sys._is_gil_enabled())")]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=name_of)
def test_imports_go_one_way(path):
    found = set(imports(path))
    assert {name[1:] for name in found if name.startswith(".")} <= MAY_IMPORT[name_of(path)]
    for library, users in FOREIGN.items():
        assert library not in found or name_of(path) in users
    assert "tests" not in found
    assert "oracles" not in found


def test_rooms_are_small():
    kernels = [path for path in (ROOT / "_ext").glob("*") if path.suffix in (".h", ".pxi", ".pyx")]
    for path in [*PACKAGE.rglob("*.py"), *kernels]:
        length = len(path.read_text().splitlines())
        reason = "lines" in path.read_text()[:500]  # why it is longer
        assert length <= (450 if path.suffix == ".py" else 260) or reason, f"{path.name} has {length} lines"


def run(code):
    return json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def test_import_loads_nothing_heavy():
    loaded = "import sys, json; {}; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    ours = set(run(loaded.format("import sklearn_hippo")))
    theirs = set(run(loaded.format("import sklearn, numpy, sklearn.base, sklearn.utils.validation")))
    assert "sklearn_hippo" in ours
    # scikit-learn itself loads pandas where it is installed.
    assert not (ours - theirs) & set(FOREIGN)


def test_versions_for_bug_reports():
    command = [sys.executable, "-m", "sklearn_hippo.show_versions"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f"sklearn-hippo {sklearn_hippo.__version__}" in printed
    assert "kernels" in printed
    assert "OpenMP" in printed or "one thread" in printed


def equations():
    """Equations of the maths page, and where its table says that each is: names and files."""
    page = ROOT / "docs" / "maths.rst"
    if not page.exists():
        pytest.skip("the sdist has no documentation")
    rows = re.findall(r"\* - (E\d+)\n     - .*\n     - ``(\w+)``\n     - ``([\w./]+)``", page.read_text())
    return re.findall(r"\\tag\{(E\d+)\}", page.read_text()), rows


def test_from_an_equation_to_its_code():
    numbered, rows = equations()
    assert numbered == [f"E{k}" for k in range(1, len(numbered) + 1)]
    assert {number for number, _, _ in rows} == set(numbered)
    for number, name, file in rows:
        text = (ROOT / file).read_text()
        # where it is defined, with the comment above and the docstring below
        defined = re.compile(rf"^.*\b(class|def|void|double|WIDE|TARGET|INLINE)\b.*\b{name}\b", re.MULTILINE)
        around = [text[max(0, m.start() - 700) : m.end() + 700] for m in defined.finditer(text)]
        assert any(f"({number})" in part for part in around), f"{name} in {file} does not cite ({number})"


def test_from_the_code_to_its_equation():
    _, rows = equations()
    sources = [*PACKAGE.rglob("*.py"), *(ROOT / "_ext").glob("*.h"), *(ROOT / "_ext").glob("*.p[yx]*")]
    cited = {(number, path.name) for path in sources for number in re.findall(r"\((E\d+)\)", path.read_text())}
    assert cited == {(number, Path(file).name) for number, _, file in rows}


# numpydoc's checks, less the ones of taste.
SKIPPED = {"ES01", "GL01", "GL02", "GL03", "SA01", "SA04", "SS03", "SS05", "SS06", "EX01", "PR01", "PR02", "PR06",
           "PR07", "PR08", "PR09", "RT03", "RT04", "RT05", "YD01", "GL08"}  # fmt: skip


def public_objects():
    with_torch = importlib.util.find_spec("torch") is not None
    for module in (
        "sklearn_hippo",
        "sklearn_hippo.datasets",
        "sklearn_hippo.inspection",
        "sklearn_hippo.nn",
        "sklearn_hippo.river",
        "sklearn_hippo.sktime",
    ):
        needs = {"sklearn_hippo.nn": "torch", "sklearn_hippo.river": "river", "sklearn_hippo.sktime": "sktime"}.get(
            module, "numpy"
        )
        if importlib.util.find_spec(needs) is None:
            continue
        loaded = importlib.import_module(module)
        for name in [*loaded.__all__, *(getattr(loaded, "LAZY", []) if with_torch else [])]:
            one = getattr(loaded, name)
            if callable(one):
                yield f"{module}.{name}"
            if isinstance(one, type):
                ours = (c for c in one.__mro__ if c.__module__.startswith("sklearn_hippo") and c.__name__[0] != "_")
                own = {m for c in ours for m, f in vars(c).items() if not m.startswith("_") and callable(f)}
                yield from (f"{module}.{name}.{m}" for m in sorted(own))


@pytest.mark.parametrize("name", list(public_objects()))
def test_public_docstrings_follow_numpydoc(name):
    result = validate(name)
    assert result["docstring"].strip()
    problems = [f"{code}: {text}" for code, text in result["errors"] if code not in SKIPPED]
    assert not problems
