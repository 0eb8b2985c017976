"""The order in which the gallery teaches."""

ORDER = (
    "plot_irregular_series.py",
    "plot_windows.py",
    "plot_reconstruction.py",
    "plot_measures.py",
    "plot_choosing.py",
    "plot_streaming.py",
    "plot_batch_to_stream.py",
    "plot_rnn_classifier.py",
    "plot_rnn_grid.py",
    "plot_state_spaces.py",
    "plot_early.py",
    "plot_convergence.py",
    "plot_speed.py",
)


def place(filename):
    """Where an essay stands."""
    return ORDER.index(filename)
