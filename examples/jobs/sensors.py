"""Machines: local times in a night in which clocks change, rows sent twice, two columns of ids."""

import joblib
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from tables import folder

from sklearn_hippo import HiPPOTransformer, Panel

HERE, ID = folder(), ["site", "machine"]


def read(part):  # instants, whatever the clocks on the wall said
    table = pd.read_csv(HERE / f"sensors_{part}.csv").drop_duplicates()
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return Panel.from_long(table, id=ID, time="time", values="vibration")


train, test = read(1), read(2)
state = pd.read_csv(HERE / "machines_1.csv", index_col=ID)["state"]
power = FunctionTransformer(np.square, feature_names_out="one-to-one")  # of a harmonic, whatever its phase
model = make_pipeline(HiPPOTransformer("fous", order=17), power, StandardScaler(), LogisticRegression(C=0.1))
calibrated = CalibratedClassifierCV(model, ensemble=False, cv=10).fit(train, state[train.ids])
joblib.dump(calibrated, HERE / "sensors.joblib")

loaded = joblib.load(HERE / "sensors.joblib")
known = pd.read_csv(HERE / "machines_2.csv", index_col=ID)
chance, truth = loaded.predict_proba(test), known["state"][test.ids]
print(f"accuracy {loaded.score(test, truth):.3f}, log loss {log_loss(truth, chance):.3f}")
known["faulty"] = pd.Series(chance[:, 0].round(2), pd.MultiIndex.from_tuples(test.ids))
print(known.head(3))
fitted = loaded.calibrated_classifiers_[0].estimator
weights = pd.Series(fitted[-1].coef_[0], fitted[:-1].get_feature_names_out())
print(weights.abs().nlargest(4).round(1).to_dict())  # the harmonics that tell
