"""Configuration of the documentation."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # gallery_order

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
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"
nitpicky = False
autosummary_generate = True
numpydoc_show_class_members = False
autodoc_typehints = "none"  # the docstrings say more
toc_object_entries_show_parents = "hide"
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
    "within_subsection_order": "gallery_order.place",
    "thumbnail_size": (720, 504),
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
    "navbar_persistent": ["search-button"],
    "icon_links": [
        {
            "name": "Source",
            "url": "https://github.com/sklearn-hippo/sklearn-hippo",
            "icon": "fa-brands fa-github",
        }
    ],
}
html_sidebars = {
    "install": [],
    "tour": [],
    "citing": [],
    "changelog": [],
    "maths": [],
    "paper": [],
    "ecosystem": [],
    "api": [],
}
html_context = {"default_mode": "auto"}  # the theme logs an error where it is not said


def describe_thumbnails(app, doctree, page):
    """Thumbnails of the gallery are read out as the titles of their pages."""
    for image in doctree.findall(lambda node: node.tagname == "image"):
        name = Path(image.get("uri", "")).name
        if name.startswith("sphx_glr_") and name.endswith("_thumb.png"):
            essay = f"gallery/{name.removeprefix('sphx_glr_').removesuffix('_thumb.png')}"
            image["alt"] = app.env.titles[essay].astext()


def skip_what_is_not_ours(app, what, name, obj, skip, options):
    """Leave out what classes inherit from other libraries."""
    own = getattr(getattr(obj, "fget", obj), "__module__", None)
    of_tuples = getattr(obj, "__objclass__", None) is tuple
    return True if of_tuples or (own and not own.startswith("sklearn_hippo")) else skip


def setup(app):
    """Register what the theme and the gallery do not do."""
    app.connect("doctree-resolved", describe_thumbnails)
    app.connect("autodoc-skip-member", skip_what_is_not_ours)
