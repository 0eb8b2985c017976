import os

# Before scipy and matplotlib are imported: otherwise scikit-learn skips its array API check, and plots want a screen.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
