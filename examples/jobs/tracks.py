"""Tracks: where a phone was, and when it knew; who walked, who rode and who drove."""

import joblib
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.pipeline import make_pipeline
from tables import folder

from sklearn_hippo import HiPPOTransformer, Panel

HERE = folder()


def read(part):  # positions since the beginning of each track; the altitude is missing more often than not
    table = pd.read_csv(HERE / f"tracks_{part}.csv")
    place = ["east", "north", "altitude"]
    table[place] -= table.groupby("track")[place].transform("first")
    return Panel.from_long(table, id="track", time="second", values=place)


train, test = read(1), read(2)
mode = pd.read_csv(HERE / "modes_1.csv", index_col="track")["mode"]
features = HiPPOTransformer(order=6, add_duration=True).set_output(transform="pandas")
trees = HistGradientBoostingClassifier(max_iter=60, random_state=0)
model = make_pipeline(features, trees)
calibrated = CalibratedClassifierCV(model, ensemble=False).fit(train, mode[train.ids])
joblib.dump(calibrated, HERE / "tracks.joblib")

loaded = joblib.load(HERE / "tracks.joblib")
known = pd.read_csv(HERE / "modes_2.csv", index_col="track")
known["predicted"] = pd.Series(loaded.predict(test), test.ids)
print(f"accuracy {(known['predicted'] == known['mode']).mean():.3f}")
print(known.head(3))
fitted = loaded.calibrated_classifiers_[0].estimator
table = fitted[0].transform(test)
importance = permutation_importance(fitted[1], table, known["mode"][table.index], n_repeats=3, random_state=0)
print(pd.Series(importance.importances_mean, table.columns).nlargest(4).round(3))
