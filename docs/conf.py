"""Configuration of the documentation."""

import importlib.metadata

project = "sklearn-hippo"
author = "The sklearn-hippo developers"
copyright = "2026, the sklearn-hippo developers"
release = importlib.metadata.version("sklearn-hippo")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
default_role = "py:obj"
nitpicky = False
autosummary_generate = True
numpydoc_show_class_members = False
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!.*plot_)",  # scripts are not for the gallery
    "nested_sections": False,
    "download_all_examples": False,
    "show_memory": False,
    "doc_module": ("sklearn_hippo",),
}
html_theme = "pydata_sphinx_theme"
html_title = "sklearn-hippo"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
