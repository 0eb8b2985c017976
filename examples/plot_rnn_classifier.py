"""
A HiPPO-RNN that decides as it listens
======================================

Nine men say two vowels: JapaneseVowels, 7 to 29 observations of 12 cepstral coefficients. A gated HiPPO-RNN is trained
on the official 270 utterances and tested on the other 370.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_hippo import HiPPORNNClassifier, HiPPOTransformer
from sklearn_hippo.datasets import drop_observations, load_japanese_vowels

torch.set_num_threads(2)
X, y = load_japanese_vowels("train")
X_test, y_test = load_japanese_vowels("test")

classifier = HiPPORNNClassifier(random_state=0).fit(X, y)
print(f"accuracy {classifier.score(X_test, y_test):.3f} after {classifier.n_iter_} epochs")

# %%
# It was trained on complete utterances. What is left of its accuracy where observations are missing?

shares = [0, 0.2, 0.4, 0.6, 0.8]
scores = [classifier.score(drop_observations(X_test, share, random_state=0), y_test) for share in shares]

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.plot(classifier.loss_curve_)
left.set(xlabel="epoch", ylabel="training loss", yscale="log")
right.plot(shares, scores, "o-")
right.set(xlabel="share of test observations dropped", ylabel="accuracy", ylim=(0, 1.03))

# %%
# The network underneath is a PyTorch module, and gives an opinion after every observation. Here are its probabilities
# for the first utterance of every speaker, the speaker's own in colour.

network = classifier.net_.module_.eval()
first = [int(np.flatnonzero(y_test == speaker)[0]) for speaker in classifier.classes_]

figure, axes = plt.subplots(3, 3, figsize=(8, 5), sharex=True, sharey=True, layout="constrained")
for ax, i, speaker in zip(axes.flat, first, range(9), strict=True):
    values = (X_test[i][1] - classifier.mean_) / classifier.scale_
    with torch.no_grad():
        outputs, _ = network.rnn(torch.tensor(values[None], dtype=torch.float32))
        probabilities = network.head(outputs)[0].softmax(dim=-1).numpy()
    ax.plot(probabilities, color="0.8")
    ax.plot(probabilities[:, speaker], color="C0")
    ax.set_title(f"speaker {classifier.classes_[speaker]}", fontsize="medium")
figure.supxlabel("observation")
figure.supylabel("probability")

# %%
# Coefficients are another view of the same series. A stack of both models asks them both; its last model learns from
# out-of-fold predictions whom to believe.

features = make_pipeline(HiPPOTransformer("legs", 3), StandardScaler(), LogisticRegression(C=0.3, max_iter=1000))
stack = StackingClassifier([("rnn", HiPPORNNClassifier(random_state=0)), ("coefficients", features)], cv=3)
print(f"coefficients alone {features.fit(X, y).score(X_test, y_test):.3f}")
print(f"both, stacked      {stack.fit(X, y).score(X_test, y_test):.3f}")
plt.show()
