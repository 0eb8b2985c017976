"""What several test modules make: measures by what they are for, and irregular series."""

from sklearn_hippo._measures import with_dynamics, with_projection

MEASURES = with_projection()
DYNAMICS = {name: measure.dynamics for name, measure in with_dynamics().items()}
