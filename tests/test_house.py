"""The architecture: who imports whom, and what an import costs."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate

import sklearn_hippo

PACKAGE = Path(sklearn_hippo.__file__).parent

# Each module and the ones of ours that it may import. A leaf imports nothing of ours.
MAY_IMPORT = {
    "__init__": {"_memory", "_panel", "_transformer"},
    "_compat": set(),
    "_measures": set(),
    "_memory": {"_measures", "_panel", "_projection", "_recurrence"},
    "_panel": set(),
    "_projection": {"_ext_projection", "_measures", "_panel"},
    "_recurrence": {"_ext_projection", "_ext_recurrence", "_measures", "_panel", "_projection"},
    "_transformer": {"_compat", "_measures", "_panel", "_projection", "_recurrence"},
    "datasets": {"_panel"},
    "inspection": {"_measures", "_panel", "_projection", "_transformer"},
}
FOREIGN = {"torch": set(), "skorch": set(), "sktime": {"datasets"}, "pandas": set(), "polars": set(), "pyarrow": set(),
           "matplotlib": {"inspection"}}  # fmt: skip


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield from [f".{node.module}"] if node.module else (f".{alias.name}" for alias in node.names)
            else:
                yield node.module.split(".")[0]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_imports_go_one_way(path):
    found = set(imports(path))
    assert {name[1:] for name in found if name.startswith(".")} <= MAY_IMPORT[path.stem]
    for library, users in FOREIGN.items():
        assert library not in found or path.stem in users
    assert "tests" not in found
    assert "oracles" not in found


def run(code):
    return json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def test_import_loads_nothing_heavy():
    loaded = "import sys, json; {}; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    ours = set(run(loaded.format("import sklearn_hippo")))
    theirs = set(run(loaded.format("import sklearn, numpy, sklearn.base, sklearn.utils.validation")))
    assert "sklearn_hippo" in ours
    # scikit-learn itself loads pandas where it is installed.
    assert not (ours - theirs) & set(FOREIGN)


# numpydoc's checks, less the ones of taste.
SKIPPED = {"ES01", "GL01", "GL02", "GL03", "SA01", "SA04", "SS03", "SS05", "SS06", "EX01", "PR01", "PR02", "PR06",
           "PR07", "PR08", "PR09", "RT03", "RT04", "RT05", "YD01", "GL08"}  # fmt: skip


def public_objects():
    for module in ("sklearn_hippo", "sklearn_hippo.datasets", "sklearn_hippo.inspection"):
        loaded = importlib.import_module(module)
        for name in loaded.__all__:
            one = getattr(loaded, name)
            if callable(one):
                yield f"{module}.{name}"
            if isinstance(one, type):
                own = (m for m, f in vars(one).items() if not m.startswith("_") and callable(f))
                yield from (f"{module}.{name}.{m}" for m in own)


@pytest.mark.parametrize("name", list(public_objects()))
def test_public_docstrings_follow_numpydoc(name):
    result = validate(name)
    assert result["docstring"].strip()
    problems = [f"{code}: {text}" for code, text in result["errors"] if code not in SKIPPED]
    assert not problems
