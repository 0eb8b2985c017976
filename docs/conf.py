"""Configuration of the documentation."""

import importlib.metadata

project = "sklearn-hippo"
author = "The sklearn-hippo developers"
copyright = "2026, the sklearn-hippo developers"
release = importlib.metadata.version("sklearn-hippo")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # pages need nothing from elsewhere
    "myst_parser",  # the changelog
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
default_role = "py:obj"
nitpicky = False
autosummary_generate = True
numpydoc_show_class_members = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# Where there is no network, an empty inventory stands in: names of other libraries are no links then, and no warnings.
intersphinx_timeout = 5
intersphinx_mapping = {
    name: (url, (None, "offline.inv"))
    for name, url in {
        "python": "https://docs.python.org/3",
        "numpy": "https://numpy.org/doc/stable",
        "sklearn": "https://scikit-learn.org/stable",
        "torch": "https://docs.pytorch.org/docs/stable",
        "skorch": "https://skorch.readthedocs.io/en/stable",
        "matplotlib": "https://matplotlib.org/stable",
    }.items()
}
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!.*plot_)",  # scripts are not for the gallery
    "nested_sections": False,
    "download_all_examples": False,
    "capture_repr": (),
    "show_memory": False,
    "write_computation_times": False,
    "doc_module": ("sklearn_hippo",),
}
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_title = "sklearn-hippo"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "icon_links": [
        {
            "name": "Source",
            "url": "https://github.com/sklearn-hippo/sklearn-hippo",
            "icon": "fa-brands fa-github",
        }
    ],
}
html_sidebars = {"install": [], "tour": [], "citing": [], "changelog": [], "maths": [], "ecosystem": [], "api": []}
html_context = {"default_mode": "auto"}  # the theme logs an error where it is not said
