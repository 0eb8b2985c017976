import os

# Before scipy is imported: otherwise scikit-learn skips its array API check.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
