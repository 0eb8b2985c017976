import os

# Before scipy and matplotlib are imported: otherwise scikit-learn skips its array API check, and plots want a screen.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Processes that tests start import the package that is installed, not a checkout in which nothing is compiled.
os.environ.setdefault("PYTHONSAFEPATH", "1")
