"""Intensive care: a tall log of vital signs and static columns, from CSV to a calibrated, explained and saved model."""

import joblib
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import folder

from sklearn_hippo import HiPPOTransformer, Panel

HERE, VITALS = folder(), ["pulse", "pressure", "lactate"]


def read(part):  # stays, one in each row: their age, and their vital signs as series in cells
    stays = pd.read_csv(HERE / f"stays_{part}.csv", index_col="stay")
    log = pd.read_csv(HERE / f"vitals_{part}.csv", parse_dates=["time"])
    vitals = Panel.from_long(log, id="stay", time="time", values="value", channel="kind", channels=VITALS)
    return stays.join(pd.DataFrame(vitals.to_cells(), index=vitals.ids))  # a stay without any has empty cells


coefficients = make_pipeline(HiPPOTransformer(order=3), SimpleImputer(add_indicator=True), StandardScaler())
columns = make_column_transformer((coefficients, VITALS), (make_pipeline(SimpleImputer(), StandardScaler()), ["age"]))
model = make_pipeline(columns, LogisticRegression(C=0.1))
train, test = read(1), read(2)
calibrated = CalibratedClassifierCV(model, ensemble=False).fit(train.drop(columns="died"), train["died"])
joblib.dump(calibrated, HERE / "icu.joblib")

loaded = joblib.load(HERE / "icu.joblib")
risk = pd.Series(loaded.predict_proba(test.drop(columns="died"))[:, 1], test.index, name="risk")
print(f"AUROC {roc_auc_score(test['died'], risk):.3f}, Brier {brier_score_loss(test['died'], risk):.3f}")
for column in [*VITALS, "age"]:  # what is lost where nobody measures it
    without = loaded.predict_proba(test.drop(columns="died").assign(**{column: None}))[:, 1]
    print(f"  without {column}: {roc_auc_score(test['died'], without):.3f}")
print(test.assign(risk=risk.round(2))[["age", "risk"]].head(3))
