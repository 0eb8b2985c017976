import copy
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from datetime import timedelta

import joblib
import numpy as np
import pytest
import sklearn
from extras import optional
from makers import trained
from makers import waves as classes
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_param_validation, parametrize_with_checks

from sklearn_hippo import HiPPOTransformer, Panel
from sklearn_hippo.datasets import drop_observations, load_japanese_vowels, load_sktime, scale_time

pd = optional("pandas")
torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from skorch.callbacks import Callback, EpochScoring, LRScheduler  # noqa: E402

from sklearn_hippo import HiPPORNNClassifier, HiPPORNNRegressor  # noqa: E402
from sklearn_hippo._batches import Batches, Series  # noqa: E402
from sklearn_hippo._training import Checkpoint  # noqa: E402

QUICK = {"hidden_size": 8, "max_epochs": 15, "lr": 0.02, "random_state": 0}

# Mini-batches are drawn from other rows when rows are repeated.
EXPECTED_FAILURES = {"check_sample_weight_equivalence_on_dense_data": "mini-batches depend on the number of series"}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore:The training ended:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [HiPPORNNClassifier(random_state=0), HiPPORNNRegressor(random_state=0)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learn_checks(estimator, check):
    check(trained(estimator, check))


@pytest.mark.parametrize("estimator", [HiPPORNNClassifier, HiPPORNNRegressor])
def test_parameters_are_validated(estimator):
    check_param_validation(estimator.__name__, estimator(max_epochs=1))


# --- classification ------------------------------------------------------------------------------------


def test_it_learns_classes_of_irregular_series():
    panel, y = classes(120)
    train, test = slice(0, 80), slice(80, None)
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 40}).fit(panel[train], y[train])
    assert classifier.score(panel[test], y[test]) > 0.9
    assert list(classifier.classes_) == ["fast", "slow"]
    probabilities = classifier.predict_proba(panel[test])
    assert_allclose(probabilities.sum(axis=1), 1)
    assert_array_equal(classifier.classes_[probabilities.argmax(axis=1)], classifier.predict(panel[test]))
    assert_array_equal(classifier.decision_function(panel[test]) > 0, probabilities[:, 1] > 0.5)
    assert classifier.n_features_in_ == classifier.n_channels_ == 2
    assert classifier.loss_curve_[-1] < classifier.loss_curve_[0]
    assert len(classifier.loss_curve_) == classifier.n_iter_ == 40


def test_japanese_vowels():
    pytest.importorskip("sktime")
    X, y = load_japanese_vowels("train")
    X_test, y_test = load_japanese_vowels("test")
    classifier = HiPPORNNClassifier(random_state=0, max_epochs=20).fit(X, y)
    assert classifier.score(X_test, y_test) > 0.95


def test_every_form_of_x_is_the_same_to_it():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(20, 7))
    y = table[:, -1] > 0
    fitted = HiPPORNNClassifier(**QUICK).fit(table, y)
    expected = fitted.predict_proba(table)
    forms = [pd.DataFrame(table), table[..., None], list(table), table.tolist(), Panel.from_list(list(table)),
             pd.Series(list(table)), [(np.arange(7.0), row) for row in table], np.asfortranarray(table)]  # fmt: skip
    for X in forms:
        assert_array_equal(clone(fitted).fit(X, y).predict_proba(X), expected)
    read_only = table.copy()
    read_only.flags.writeable = False
    assert_array_equal(clone(fitted).fit(read_only, y).predict_proba(read_only), expected)


@pytest.mark.parametrize("y", [[3, 7], [True, False], [-1.0, 1.0], ["b", "a"], np.array(["b", "a"], dtype=object)])
def test_labels_of_any_kind(y):
    panel, _ = classes(20)
    y = np.asarray(y)[np.arange(20) % 2]
    predicted = HiPPORNNClassifier(**QUICK).fit(panel, y).predict(panel)
    assert set(predicted) <= set(y)
    assert predicted.dtype == y.dtype


def test_a_fit_is_reproducible_and_leaves_global_generators_alone():
    panel, y = classes()
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    classifier = HiPPORNNClassifier(**QUICK, dropout=0.2)
    expected = classifier.fit(panel, y).predict_proba(panel)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    torch.manual_seed(5)
    assert_array_equal(classifier.fit(panel, y).predict_proba(panel), expected)
    assert_array_equal(clone(classifier).fit(panel, y).predict_proba(panel), expected)
    assert not np.array_equal(clone(classifier).set_params(random_state=1).fit(panel, y).predict_proba(panel), expected)
    generator = clone(classifier).set_params(random_state=np.random.RandomState(0))
    assert not np.array_equal(
        generator.fit(panel, y).predict_proba(panel), generator.fit(panel, y).predict_proba(panel)
    )


def test_predictions_do_not_depend_on_the_batch():
    panel, y = classes()
    classifier = HiPPORNNClassifier(**QUICK).fit(panel, y)
    together = classifier.decision_function(panel)
    alone = np.concatenate([classifier.decision_function(panel[[i]]) for i in range(len(panel))])
    assert_allclose(alone, together, atol=1e-12)
    backwards = classifier.decision_function(panel[np.arange(len(panel))[::-1]])
    assert_allclose(backwards[::-1], together, atol=1e-12)


def test_predictions_are_those_of_the_weights_of_now():
    X, y = classes(30)
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 2, "dropout": 0.5}).fit(X, y)
    first = classifier.predict_proba(X)
    assert classifier.net_.evaluated() is classifier.net_.evaluated()
    assert_array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), first)
    assert not hasattr(pickle.loads(pickle.dumps(classifier.net_)), "_evaluated")
    with torch.no_grad():
        classifier.net_.module_.head.bias += 1000 * torch.eye(2)[0]
    assert_array_equal(classifier.predict_proba(X)[:, 0], 1)
    classifier.net_.module_.head.bias = torch.nn.Parameter(torch.tensor([0.0, 1000.0]))
    assert_array_equal(classifier.predict_proba(X)[:, 1], 1)
    classifier.partial_fit(X, y)
    classifier.fit(X, y)
    assert_array_equal(classifier.predict_proba(X), first)


def test_legs_does_not_know_the_unit_of_time():
    panel, y = classes()
    classifier = HiPPORNNClassifier(**QUICK).fit(panel, y)
    stretched = classifier.decision_function(scale_time(panel, 60))
    assert_allclose(stretched, classifier.decision_function(panel), atol=1e-9)
    assert classifier.timescale_ is None
    sliding = HiPPORNNClassifier("legt", **QUICK).fit(panel, y)
    assert sliding.timescale_ == np.median(panel.durations)
    assert HiPPORNNClassifier("legt", timescale=2.5, **QUICK | {"max_epochs": 1}).fit(panel, y).timescale_ == 2.5


@pytest.mark.parametrize("measure", ["legs_lti", "legt", "lmu", "lagt", "fout", "rand"])
def test_every_measure_trains(measure):
    panel, y = classes(40)
    params = QUICK | {"order": 8, "max_epochs": 4}
    classifier = HiPPORNNClassifier(measure, **params, learn_timescale=True).fit(panel, y)
    learned = classifier.net_.module_.rnn.timescale
    assert learned != classifier.timescale_
    assert learned == pytest.approx(classifier.timescale_, rel=0.5)


def test_missing_values():
    panel, y = classes()
    holes = drop_observations(panel, 0.3, 0, by_channel=True)
    told = HiPPORNNClassifier(**QUICK).fit(holes, y)
    assert told.net_.module_.rnn.mask_input
    assert np.isfinite(told.predict_proba(panel)).all()
    assert not HiPPORNNClassifier(**QUICK).fit(panel, y).net_.module_.rnn.mask_input
    untold = HiPPORNNClassifier(**QUICK, missing_indicator=False).fit(holes, y)
    assert not untold.net_.module_.rnn.mask_input
    empty = Panel.from_list([np.array([[1.0, np.nan], [2.0, np.nan]])])
    assert np.isfinite(told.predict_proba(empty)).all()


def test_standardization():
    panel, y = classes()
    classifier = HiPPORNNClassifier(**QUICK).fit(panel, y)
    assert_allclose(classifier.mean_, panel.values.mean(axis=0))
    assert_allclose(classifier.scale_, panel.values.std(axis=0))
    moved = Panel(panel.values * [1e6, 1e-6] + [1e6, 3], panel.times, panel.offsets)
    other = clone(classifier).fit(moved, y)
    assert_allclose(other.decision_function(moved), classifier.decision_function(panel), atol=1e-3)
    ready = Panel((panel.values - classifier.mean_) / classifier.scale_, panel.times, panel.offsets)
    as_it_is = clone(classifier).set_params(standardize=False).fit(ready, y)
    assert_array_equal(as_it_is.scale_, 1)
    assert_allclose(as_it_is.decision_function(ready), classifier.decision_function(panel), atol=1e-3)
    constant = Panel(np.column_stack([panel.values[:, 0], np.full(len(panel.values), 0.1)]), panel.times, panel.offsets)
    assert clone(classifier).fit(constant, y).scale_[1] == 1


def test_weights():
    panel, y = classes(40)
    rng = np.random.default_rng(0)
    wrong = rng.permutation(y)
    weights = np.r_[np.ones(40), np.zeros(40)]
    twice = panel[np.r_[0:40, 0:40]]
    classifier = HiPPORNNClassifier(**QUICK)
    expected = clone(classifier).fit(panel, y).predict_proba(panel)
    # a weight of zero is no series
    assert_array_equal(clone(classifier).fit(twice, np.r_[y, wrong], weights).predict_proba(panel), expected)
    # and only the proportions of weights count
    assert_allclose(clone(classifier).fit(panel, y, np.full(40, 7.0)).predict_proba(panel), expected, atol=1e-5)
    # classes, too, have weights
    few = np.flatnonzero((y == "slow") | (np.arange(40) < 6))
    plain = clone(classifier).fit(panel[few], y[few]).predict_proba(panel)[:, 0].mean()
    for class_weight in ("balanced", {"fast": 5, "slow": 1}):
        weighted = clone(classifier).set_params(class_weight=class_weight).fit(panel[few], y[few])
        assert weighted.predict_proba(panel)[:, 0].mean() > plain


def test_early_stopping():
    panel, y = classes(90, n_classes=3)
    y = np.random.default_rng(0).permutation(y)  # nothing to be learned
    params = QUICK | {"max_epochs": 300, "schedule": "constant"}
    classifier = HiPPORNNClassifier(**params, early_stopping=True, n_iter_no_change=5).fit(panel, y)
    assert classifier.n_iter_ < 300
    assert len(classifier.validation_loss_curve_) == classifier.n_iter_
    assert np.argmin(classifier.validation_loss_curve_) < classifier.n_iter_ - 3
    assert HiPPORNNClassifier(**QUICK).fit(panel, y).validation_loss_curve_ is None
    assert classifier._best_epoch == np.argmin(classifier.validation_loss_curve_)
    with pytest.raises(ValueError, match="cannot be set aside for early stopping"):
        HiPPORNNClassifier(**params, early_stopping=True).fit(panel[:4], ["a", "b", "c", "c"])


def test_warm_start_and_partial_fit():
    panel, y = classes()
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 5}, warm_start=True).fit(panel, y)
    first = classifier.loss_curve_
    classifier.set_params(lr=0.01).fit(panel, y)
    assert classifier.n_iter_ == 10
    assert classifier.loss_curve_[:5] == first
    assert classifier.loss_curve_[-1] < first[-1]
    with pytest.raises(ValueError, match="has the class 'new', which the classifier did not see"):
        classifier.fit(panel, np.where(y == "slow", "new", y))

    parts = HiPPORNNClassifier(**QUICK)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        parts.partial_fit(panel, y)
    slow = np.flatnonzero(y == "slow")
    parts.partial_fit(panel[slow], y[slow], classes=["slow", "fast"])
    for _ in range(20):
        parts.partial_fit(panel, y)
    assert parts.n_iter_ == 21
    assert parts.loss_curve_[-1] < 0.75 * parts.loss_curve_[1]
    with pytest.raises(ValueError, match="are not those of the first call"):
        parts.partial_fit(panel, y, classes=["a", "b"])
    # a pickled one goes on in the same way
    again = pickle.loads(pickle.dumps(parts))
    assert_array_equal(
        again.partial_fit(panel, y).predict_proba(panel), parts.partial_fit(panel, y).predict_proba(panel)
    )


def test_progress_is_told(capsys):
    panel, y = classes(20)
    HiPPORNNClassifier(**QUICK | {"max_epochs": 2}).fit(panel, y)
    assert capsys.readouterr().out == ""
    HiPPORNNClassifier(**QUICK | {"max_epochs": 2}, verbose=1).fit(panel, y)
    assert "train_loss" in capsys.readouterr().out
    HiPPORNNClassifier(**QUICK | {"max_epochs": 2}, verbose=2).fit(panel, y)
    assert "it/s" in capsys.readouterr().err


def test_what_skorch_offers():
    panel, y = classes(20)

    class Counter(Callback):
        batches = 0

        def on_batch_end(self, net, training=False, **kwargs):
            Counter.batches += training

    params = {"callbacks": [("counter", Counter())], "optimizer": torch.optim.SGD, "batch_size": 5}
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 3}, net_params=params).fit(panel, y)
    assert Counter.batches == 12
    assert isinstance(classifier.net_.optimizer_, torch.optim.SGD)
    assert "callbacks" in params


def test_scikit_learn_callbacks():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn >= 1.9")
    pytest.importorskip("rich", reason="for the progress bar")
    panel, y = classes(40)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 4}).set_callbacks(monitor, callback.ProgressBar())
    classifier.fit(panel, y)
    pickle.dumps(classifier.net_)
    pipeline = make_pipeline(HiPPORNNClassifier(**QUICK | {"max_epochs": 2}))
    pipeline.set_callbacks(callback.ProgressBar()).fit(panel, y)

    class Stop:
        def setup(self, estimator, context):
            self.seen = 0

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            self.seen += context.task_name == "epoch"
            return self.seen == 3

        def teardown(self, estimator, context):
            pass

    assert HiPPORNNClassifier(**QUICK).set_callbacks(Stop()).fit(panel, y).n_iter_ == 3


def test_schedulers_and_scores_of_skorch():
    panel, y = classes(20)
    slower = ("slower", LRScheduler("StepLR", step_size=2, gamma=0.1))
    score = EpochScoring("accuracy", on_train=True, name="correct")
    params = QUICK | {"schedule": "constant", "max_epochs": 6}
    classifier = HiPPORNNClassifier(**params, net_params={"callbacks": [slower, score]}).fit(panel, y)
    assert classifier.net_.history[:, "event_lr"] == pytest.approx(0.02 * 0.1 ** np.array([0, 0, 1, 1, 2, 2]))
    assert 0 <= classifier.net_.history[-1, "correct"] <= 1
    assert not hasattr(slower[1], "lr_scheduler_")  # parameters are not changed
    faster = HiPPORNNClassifier(**params, net_params={"lr": 0.5, "optimizer": torch.optim.Rprop})
    faster.partial_fit(panel, y, classes=["slow", "fast"]).partial_fit(panel, y)
    assert faster.net_.optimizer_.param_groups[0]["initial_lr"] == 0.5
    for name in ("module", "train_split", "max_epochs"):
        with pytest.raises(ValueError, match=f"net_params may not set '{name}'"):
            HiPPORNNClassifier(**params, net_params={name: None}).fit(panel, y)
    with pytest.raises(ValueError, match="give a list of callbacks"):
        HiPPORNNClassifier(**params, net_params={"callbacks": "disable"}).fit(panel, y)


def test_a_learned_timescale_does_not_decay():
    panel, y = classes(20)
    params = QUICK | {"max_epochs": 3, "weight_decay": 1.0, "learn_timescale": True}
    found = [
        HiPPORNNClassifier("legt", **params).fit(scale_time(panel, unit), y).net_.module_.rnn.timescale / unit
        for unit in (1, 1000)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-3)


class Interrupt(Callback):
    """Ctrl-C in the fourth epoch, once."""

    armed = True

    def on_batch_begin(self, net, training=False, **kwargs):
        if Interrupt.armed and len(net.history) == 4 and training:
            Interrupt.armed = False
            before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.signal(signal.SIGINT, before)


def test_ctrl_c_keeps_the_finished_epochs(tmp_path):
    panel, y = classes(20)
    params = QUICK | {"checkpoint": tmp_path / "c", "max_epochs": 8}
    interrupted = HiPPORNNClassifier(**params, net_params={"callbacks": [Interrupt()]})
    assert interrupted.fit(panel, y).n_iter_ == 3
    assert interrupted.predict(panel).shape == (20,)
    whole = HiPPORNNClassifier(**QUICK | {"max_epochs": 8}).fit(panel, y)
    resumed = interrupted.fit(panel, y)
    assert resumed.loss_curve_ == whole.loss_curve_


def test_a_failed_training_leaves_what_was_before():
    panel, y = classes(20)
    wild = {"lr": 1e37, "max_grad_norm": None}
    failed = HiPPORNNClassifier(**QUICK | wild, net_params={"optimizer": torch.optim.SGD})
    with pytest.raises(ValueError, match="Training diverged"):
        failed.fit(panel, y)
    with pytest.raises(NotFittedError):
        failed.predict(panel)

    class Spoil(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.module_.head.bias.data[0] = np.nan

    with pytest.raises(ValueError, match="weights are not finite any more"):
        HiPPORNNClassifier(**QUICK | {"max_epochs": 1}, net_params={"callbacks": [Spoil()]}).fit(panel, y)
    good = HiPPORNNClassifier(**QUICK, warm_start=True).fit(panel, y)
    expected = good.predict_proba(panel)
    with pytest.raises(ValueError, match="Training diverged"):
        good.set_params(**wild).fit(panel, y)
    assert_array_equal(good.predict_proba(panel), expected)
    assert good.n_iter_ == len(good.net_.history) == 15
    assert np.isfinite(good.set_params(lr=0.01).partial_fit(panel, y).predict_proba(panel)).all()


def test_what_may_change_between_trainings():
    panel, y = classes(40)
    classifier = HiPPORNNClassifier(**QUICK, warm_start=True).fit(panel, y)
    classifier.set_params(early_stopping=True, batch_size=5, verbose=0).fit(panel, y)
    assert classifier.n_iter_ > 15
    assert np.isinf(classifier.validation_loss_curve_[0])
    assert np.isfinite(classifier.validation_loss_curve_[-1])
    with pytest.raises(ValueError, match="'gate' has changed since the network was made"):
        classifier.set_params(gate="mgu").fit(panel, y)
    # copies keep the network that was trained, whatever the parameters have become
    expected = classifier.predict_proba(panel)
    classifier.set_params(hidden_size=5)
    for copied in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        assert_array_equal(copied.predict_proba(panel), expected)


def test_trainings_in_threads_take_turns():
    panel, y = classes(20)
    classifier = HiPPORNNClassifier(**QUICK)
    expected = clone(classifier).fit(panel, y).loss_curve_
    fits = joblib.Parallel(3, backend="threading")(joblib.delayed(clone(classifier).fit)(panel, y) for _ in range(6))
    assert all(one.loss_curve_ == expected for one in fits)


# --- what comes out ------------------------------------------------------------------------------------


def prefixes(panel):
    """All beginnings of all series of a panel without ties."""
    for times, values in panel:
        yield [(times[: k + 1], values[: k + 1]) for k in range(len(times))]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("measure", ["legs", "lagt"])
@pytest.mark.parametrize("gate", ["timed", "mgu", "gru"])
def test_predictions_while_a_series_runs(measure, gate):
    panel, y = classes(12)
    values = panel.values.copy()
    values[::5, 1] = np.nan
    panel = Panel(values, panel.times, panel.offsets, ids=np.arange(12) + 100)
    quick = QUICK | {"max_epochs": 2, "measure": measure, "gate": gate}
    classifier = HiPPORNNClassifier(**quick, dropout=0.5).fit(panel, y)
    online = classifier.predict_proba_online(panel)
    assert online.channel_names == ("fast", "slow")
    assert_array_equal(online.ids, panel.ids)
    assert_array_equal(online.times, panel.times)
    for (_, found), beginnings in zip(online, prefixes(panel), strict=True):
        # to rounding of double precision; nothing is magnified in a few steps
        assert_allclose(found, classifier.predict_proba(beginnings), rtol=0, atol=1e-12)
    for labels, (_, found) in zip(classifier.predict_online(panel), online, strict=True):
        assert_array_equal(labels, classifier.classes_[found.argmax(axis=1)])
    regressor = HiPPORNNRegressor(**quick).fit(panel, np.column_stack([np.arange(12.0), np.ones(12)]))
    online = regressor.predict_online(panel)
    assert online.channel_names == ("y0", "y1")
    for (_, found), beginnings in zip(online, prefixes(panel), strict=True):
        assert_allclose(found, regressor.predict(beginnings), rtol=0, atol=1e-11)  # targets are of order ten


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_online_predictions_of_stamps_and_of_nothing():
    panel, y = classes(12)
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 1}).fit(panel, y)
    tied = ([0.0, 1.0, 1.0, 2.0], [[1.0, 5.0], [2.0, np.nan], [np.nan, 6.0], [3.0, 7.0]])
    merged = ([0.0, 1.0, 2.0], [[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]])
    nothing = ([0.0, 1.0], [[np.nan, np.nan], [np.nan, np.nan]])
    online = classifier.predict_proba_online([tied, [], merged, nothing])
    assert_array_equal(online.lengths, [3, 0, 3, 0])
    assert_array_equal(online[0][1], online[2][1])
    assert [len(one) for one in classifier.predict_online([tied, [], merged, nothing])] == [3, 0, 3, 0]
    bare = classifier.predict_proba_online([np.ones((4, 2))])
    assert bare.times is None
    for method in (classifier.predict_proba_online, classifier.predict_online):
        with pytest.raises(ValueError, match="X has 1 channels"):
            method([[1.0, 2.0]])
        with pytest.raises(NotFittedError):
            getattr(HiPPORNNClassifier(), method.__name__)(panel)
    with pytest.raises(NotFittedError):
        HiPPORNNRegressor().predict_online(panel)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_logarithms_of_probabilities_do_not_underflow():
    panel, y = classes(12)
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 1}).fit(panel, y)
    assert_allclose(np.exp(classifier.predict_log_proba(panel)), classifier.predict_proba(panel), rtol=1e-13)
    with torch.no_grad():
        classifier.net_.module_.head.bias.copy_(torch.tensor([0.0, 2000.0]))
    log = classifier.predict_log_proba(panel)
    assert np.isfinite(log).all()
    assert (log[:, 0] < -1900).all()
    assert (classifier.predict_proba(panel)[:, 0] == 0).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_hidden_states_are_features():
    panel, y = classes(20)
    panel = Panel(panel.values, panel.times, panel.offsets, ids=[f"p{i}" for i in range(20)])
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 3, "dropout": 0.5}).fit(panel, y)
    hidden = classifier.transform(panel)
    assert hidden.shape == (20, 8)
    head = classifier.net_.module_.head
    logits = hidden @ head.weight.detach().double().numpy().T + head.bias.detach().double().numpy()
    assert_allclose(logits[:, 1] - logits[:, 0], classifier.decision_function(panel), atol=1e-12)
    frame = classifier.set_output(transform="pandas").transform(panel)
    assert frame.columns.tolist() == [f"hippornnclassifier{k}" for k in range(8)]
    assert frame.index.tolist() == panel.ids.tolist()
    model = make_pipeline(HiPPORNNRegressor(**QUICK | {"max_epochs": 1}), StandardScaler(), LogisticRegression())
    assert model.fit(panel, np.arange(20) % 2).predict(panel).shape == (20,)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_series_may_have_several_labels():
    panel, y = classes(60)
    labels = np.column_stack([y == "slow", y == "fast", np.arange(60) % 3 == 0]).astype(int)
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 30, "early_stopping": True}).fit(panel, labels)
    assert_array_equal(classifier.classes_, [0, 1, 2])
    probabilities = classifier.predict_proba(panel)
    assert probabilities.shape == (60, 3)
    assert_allclose(probabilities, 1 / (1 + np.exp(-classifier.decision_function(panel))), rtol=1e-12)
    assert_allclose(np.exp(classifier.predict_log_proba(panel)), probabilities, rtol=1e-12)
    predicted = classifier.predict(panel)
    assert_array_equal(predicted, probabilities > 0.5)
    assert (predicted[:, :2] == labels[:, :2]).mean() > 0.8
    assert classifier.predict_online(panel)[0].shape == (len(panel[0][0]), 3)
    assert classifier.predict_proba_online(panel).channel_names == ("0", "1", "2")
    again = clone(classifier).fit(panel, sparse.csr_array(labels))
    assert_array_equal(again.predict_proba(panel), probabilities)
    assert_array_equal(pickle.loads(pickle.dumps(classifier)).predict(panel), predicted)
    scored = HiPPORNNClassifier(
        **QUICK | {"max_epochs": 1}, net_params={"callbacks": [EpochScoring("accuracy", on_train=True)]}
    )
    assert scored.fit(panel, labels).net_.history[-1, "accuracy"] >= 0
    part = HiPPORNNClassifier(**QUICK).partial_fit(panel, labels).partial_fit(panel, labels)
    assert part.n_iter_ == 2
    for wrong, message in ((labels[:, :2], r"y has the shape \(60, 2\), but the classifier was trained on 3 labels"),
                           (y, "trained on 3 labels, 0 or 1 for each series")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            part.partial_fit(panel, wrong, classes=None if np.ndim(wrong) == 2 else [0, 1, 2])
    with pytest.raises(ValueError, match=r"classes is masked at \[1\]"):
        HiPPORNNClassifier(**QUICK).partial_fit(panel, y, classes=np.ma.array([0, 1], mask=[False, True]))
    with pytest.raises(ValueError, match="weighs the classes of one label, but y has 3 labels"):
        HiPPORNNClassifier(**QUICK, class_weight="balanced").fit(panel, labels)
    with pytest.raises(ValueError, match="Several labels of a series are a table of 0 and 1"):
        HiPPORNNClassifier(**QUICK).fit(panel, labels * 3.5)


def test_the_loss_of_a_constant_of_several_labels():
    classifier = HiPPORNNClassifier()
    target, weights = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]), np.array([1.0, 2.0, 1.0])

    def loss(p):  # of the best constant: the share of a label
        return -np.average(target * np.log(p) + (1 - target) * np.log(1 - p), axis=0, weights=weights).mean()

    assert classifier._loss_of_a_constant(target, weights) == pytest.approx(loss(np.array([0.5, 0.25])))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_timescales_may_be_durations():
    times = np.datetime64("2026-01-01") + np.arange(6) * np.timedelta64(1, "m")
    X, y = [(times, np.arange(6.0) * (-1) ** k) for k in range(8)], np.arange(8) % 2
    quick = QUICK | {"max_epochs": 1, "measure": "lagt"}
    expected = HiPPORNNClassifier(**quick, timescale=120.0).fit(X, y)
    for timescale in (timedelta(minutes=2), np.timedelta64(2, "m")):
        classifier = HiPPORNNClassifier(**quick, timescale=timescale).fit(X, y)
        assert classifier.timescale_ == 120
        assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))
    with pytest.raises(ValueError, match="must be positive"):
        HiPPORNNClassifier(**quick, timescale=timedelta(0)).fit(X, y)


def test_networks_beyond_the_memory_are_refused():
    for sizes in ({"hidden_size": 10**9}, {"order": 10**7}, {"hidden_size": 10**6, "order": None, "gate": "gru"}):
        with pytest.raises(ValueError, match=r"would need .* GiB; this machine has .* GiB. Choose smaller ones"):
            HiPPORNNClassifier(**QUICK | sizes).fit([[1.0], [2.0]], [0, 1])


# --- with the rest of scikit-learn ---------------------------------------------------------------------


def test_grids_and_meta_estimators():
    # Workers of tests without PyTorch would grow by it, and be taken for leaking ones.
    joblib.externals.loky.get_reusable_executor().shutdown()
    panel, y = classes(48)
    quick = HiPPORNNClassifier(**QUICK)
    grid = {"measure": ["legs", "lagt"], "gate": ["mgu", "timed"]}
    search = GridSearchCV(quick, grid, cv=2, n_jobs=2).fit(panel, y)
    alone = cross_val_score(clone(quick).set_params(**search.best_params_), panel, y, cv=2)
    assert search.best_score_ == pytest.approx(alone.mean())
    assert search.predict(panel).shape == (48,)
    features = make_pipeline(HiPPOTransformer(order=4), StandardScaler(), LogisticRegression())
    for meta in (
        VotingClassifier([("rnn", quick), ("features", features)], voting="soft"),
        StackingClassifier([("rnn", quick), ("features", features)], cv=2),
        CalibratedClassifierCV(quick, cv=2),
    ):
        assert meta.fit(panel, y).predict(panel).shape == (48,)
    assert cross_val_predict(quick, panel, y, cv=2, method="predict_proba").shape == (48, 2)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(quick).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        cross_val_score(routed, panel, y, cv=2, params={"sample_weight": np.ones(48)})
    assert "HiPPORNNClassifier" in quick._repr_html_()


def test_pickles_are_arrays_and_predict_the_same(tmp_path):
    panel, y = classes(30)
    for learn in (False, True):
        fitted = HiPPORNNClassifier("legt", **QUICK, learn_timescale=learn).fit(panel, y)
        expected = fitted.predict_proba(panel)
        stored = pickle.dumps(fitted)
        assert b"torch" not in stored
        assert_array_equal(pickle.loads(stored).predict_proba(panel), expected)
        joblib.dump(fitted, tmp_path / "fitted")
        loaded = joblib.load(tmp_path / "fitted", mmap_mode="r")
        assert_array_equal(loaded.predict_proba(panel), expected)
        assert loaded.loss_curve_ == fitted.loss_curve_
    values = [one for one in vars(fitted).values() if isinstance(one, np.ndarray)]
    assert all(one.size < 100 for one in values)  # no training data inside
    assert len(stored) < 100_000


@pytest.mark.parametrize("estimator", [HiPPORNNClassifier, HiPPORNNRegressor])
def test_skops_needs_no_trust(estimator):
    io = pytest.importorskip("skops.io")
    panel, y = classes(30)
    fitted = estimator(**QUICK).fit(panel, y == "slow")
    stored = io.dumps(fitted)
    unknown = io.get_untrusted_types(data=stored)
    assert unknown == [f"sklearn_hippo._rnn.{estimator.__name__}"]
    assert_array_equal(io.loads(stored, trusted=unknown).predict(panel), fitted.predict(panel))


# --- regression ----------------------------------------------------------------------------------------


def test_regression_of_one_and_of_several_targets():
    panel, _ = classes(120)
    own = np.random.default_rng(1).normal(size=120)
    levels = np.repeat(own, panel.lengths)[:, None] * [1, 0]
    panel = Panel(panel.values + levels, panel.times, panel.offsets)
    y = np.column_stack([1e4 + 100 * own, own**2])
    train, test = slice(0, 80), slice(80, None)
    both = HiPPORNNRegressor(**QUICK | {"max_epochs": 60}).fit(panel[train], y[train])
    predicted = both.predict(panel[test])
    assert predicted.shape == (40, 2)
    assert r2_score(y[test, 0], predicted[:, 0]) > 0.7
    one = HiPPORNNRegressor(**QUICK).fit(panel[train], y[train, 0])
    assert one.predict(panel[test]).shape == (40,)
    assert one.fit(panel[train], np.full(80, 3.0)).predict(panel[test]) == pytest.approx(3, abs=0.5)
    with pytest.raises(ValueError, match="but the regressor was trained on"):
        both.partial_fit(panel[train], y[train, 0])
    again = HiPPORNNRegressor(**QUICK)
    for _ in range(3):
        again.partial_fit(panel, own)
    assert again.n_iter_ == 3


# --- batches -------------------------------------------------------------------------------------------


def test_batches_are_of_similar_lengths_and_complete():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 200, 300)
    panel = Panel(np.arange(lengths.sum(), dtype=np.float32), None, np.r_[0, np.cumsum(lengths)])
    data = Series(panel, np.arange(300), np.ones(300))
    seen, padded, plain = [], 0, 0
    for batch, y in Batches(data, 16, shuffle=True):
        seen += y.tolist()
        padded += batch["x"].numel()
        for x, length, i in zip(batch["x"], batch["lengths"], y, strict=True):
            assert_array_equal(x[:length, 0], panel[int(i)][1][:, 0])
    for batch, _ in Batches(data, 16):
        plain += batch["x"].numel()
    assert sorted(seen) == list(range(300))
    assert padded < 1.35 * lengths.sum() < 0.8 * plain


# --- interruptions -------------------------------------------------------------------------------------


class Stuck(Callback):
    """Hangs in the middle of a training."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 7 and "STUCK" in os.environ:
            time.sleep(600)


TRAINING = """
import sys
sys.path.insert(0, {tests!r})
from test_rnn import HiPPORNNClassifier, STOPPED, Stuck, classes, torch
torch.set_num_threads(1)
params = STOPPED | {{"checkpoint": {path!r}, "net_params": {{"callbacks": [("stuck", Stuck())]}}}}
HiPPORNNClassifier(**params).fit(*classes())
"""
STOPPED = QUICK | {"dropout": 0.1, "early_stopping": True, "n_iter_no_change": 12}


def test_a_killed_training_goes_on_to_the_same_end(tmp_path):
    panel, y = classes()
    whole = HiPPORNNClassifier(**STOPPED).fit(panel, y)
    path = tmp_path / "rnn.checkpoint"
    code = TRAINING.format(tests=os.path.dirname(__file__), path=str(path))
    child = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"STUCK": "1"})
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.1)
            if path.exists() and b"history" in path.read_bytes() and n_epochs_in(path) == 6:
                break
        time.sleep(0.3)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
    resumed = HiPPORNNClassifier(**STOPPED, checkpoint=str(path))
    assert n_epochs_in(path) == 6
    resumed.fit(panel, y)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert_array_equal(resumed.predict_proba(panel), whole.predict_proba(panel))
    # what has come to its end is read, not trained again
    assert_array_equal(clone(resumed).fit(panel, y).predict_proba(panel), whole.predict_proba(panel))


def n_epochs_in(path):
    return len(pickle.loads(path.read_bytes())["net"].history)


def test_checkpoints_know_whose_they_are(tmp_path):
    panel, y = classes(20)
    path = tmp_path / "rnn.checkpoint"
    params = QUICK | {"max_epochs": 2, "schedule": "constant"}
    HiPPORNNClassifier(**params, checkpoint=path).fit(panel, y)
    longer = HiPPORNNClassifier(**params | {"max_epochs": 4}, checkpoint=path).fit(panel, y)
    assert longer.n_iter_ == 4
    assert_array_equal(
        longer.predict_proba(panel), HiPPORNNClassifier(**params | {"max_epochs": 4}).fit(panel, y).predict_proba(panel)
    )
    with pytest.raises(ValueError, match="is the checkpoint of another training"):
        HiPPORNNClassifier(**params | {"lr": 0.1}, checkpoint=path).fit(panel, y)
    with pytest.raises(ValueError, match="is the checkpoint of another training"):
        HiPPORNNClassifier(**params, checkpoint=path).fit(panel[:10], y[:10])
    path.write_bytes(b"?")
    with pytest.raises(ValueError, match="is not a checkpoint of this version"):
        HiPPORNNClassifier(**params, checkpoint=path).fit(panel, y)
    with pytest.raises(ValueError, match="set random_state to an integer"):
        HiPPORNNClassifier(**params | {"random_state": None}, checkpoint=tmp_path / "other").fit(panel, y)
    assert Checkpoint(tmp_path / "none", "").load() == (None, False)
    with pytest.raises(ValueError, match=r"checkpoint=.* is a folder: name a file in it"):
        HiPPORNNClassifier(**params, checkpoint=tmp_path).fit(panel, y)
    with pytest.raises(ValueError, match=r"there is no folder .*nowhere.*Make it first"):
        HiPPORNNClassifier(**params, checkpoint=tmp_path / "nowhere" / "file").fit(panel, y)
    assert not (tmp_path / "nowhere").exists()
    once = HiPPORNNClassifier(**params, checkpoint=tmp_path / "folds")
    with pytest.raises(ValueError, match="Cross-validation and searches make many trainings: leave checkpoint out"):
        cross_val_score(once, panel, y, cv=2, error_score="raise")


# --- what goes wrong -----------------------------------------------------------------------------------


def test_bad_targets():
    panel, y = classes(20)
    classifier, regressor = HiPPORNNClassifier(**QUICK), HiPPORNNRegressor(**QUICK)
    for estimator in (classifier, regressor):
        with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
            estimator.fit(panel, None)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            estimator.fit(panel, y[:10] == "slow")
        with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`, of series 3"):
            estimator.fit(panel, y == "slow", np.where(np.arange(20) == 3, -1.0, 1.0))
        with pytest.raises(ValueError, match=r"(?i)sample weights .*zero"):
            estimator.fit(panel, y == "slow", np.zeros(20))
    with pytest.raises(ValueError, match="only one class: 'slow'"):
        classifier.fit(panel, ["slow"] * 20)
    named = Panel(panel.values, panel.times, panel.offsets, ids=np.arange(20) + 100, id_names="machine")
    with pytest.raises(ValueError, match=r"Series 2 \(machine 102\) has the label None"):
        classifier.fit(named, [*"ab", None, *"ab" * 8, "a"])
    with pytest.raises(ValueError, match="Series 2 has the label None"):
        classifier.fit(panel, np.where(np.arange(20) == 2, None, y))
    with pytest.raises(ValueError, match="Series 2 has the label nan"):
        classifier.fit(panel, np.where(np.arange(20) == 2, np.nan, 1.0))
    with pytest.raises(ValueError, match="Series 5 has the target nan"):
        regressor.fit(panel, np.where(np.arange(20) == 5, np.nan, 1.0))
    with pytest.raises(ValueError, match="Series 5 has the target inf"):
        regressor.fit(panel, np.where(np.arange(20) == 5, np.inf, 1.0))
    with pytest.raises(ValueError, match="class_weight must be finite"):
        HiPPORNNClassifier(**QUICK, class_weight={"slow": -1, "fast": 1}).fit(panel, y)
    with pytest.raises(ValueError, match="Series 1 has the label <NA>"):
        classifier.fit(panel, pd.array([*y[:1], pd.NA, *y[2:]], dtype="string"))
    assert not hasattr(classifier, "net_")


def test_bad_series_and_parameters():
    panel, y = classes(20)
    quick = HiPPORNNClassifier(**QUICK)
    with pytest.raises(ValueError, match="Channel 0 has no observation in any training series"):
        quick.fit([[np.nan], []], ["a", "b"])
    nothing = Panel(np.column_stack([panel.values[:, 0], np.full(len(panel.values), np.nan)]), None, panel.offsets)
    with pytest.raises(ValueError, match="Channel 1 has no observation in any training series"):
        quick.fit(nothing, y)
    for device in ("cuda", "tpu", "cuda:99"):
        with pytest.raises(ValueError, match=r"is not available here .* Use device='cpu'"):
            clone(quick).set_params(device=device).fit(panel, y)
    with pytest.raises(ValueError, match=r"Training diverged: the loss became (nan|inf) in epoch 1. Lower lr"):
        HiPPORNNRegressor(**QUICK | {"lr": 1e37}, max_grad_norm=None).fit(panel, np.arange(20.0))
    with pytest.raises(ValueError, match="The timescale of measure='legt' cannot be learned"):
        HiPPORNNClassifier("legt", **QUICK).fit([[1.0], [2.0]], [0, 1])
    fitted = quick.fit(panel, y)
    with pytest.raises(ValueError, match="X has 1 channels, but HiPPORNNClassifier was fitted on 2"):
        fitted.predict([[1.0, 2.0]])


def test_one_observation_is_a_series():
    X = [[1.0], [2.0], [1.0, 2.0], [2.0, 1.0]] * 5
    y = [0, 1, 1, 0] * 5
    classifier = HiPPORNNClassifier(**QUICK | {"max_epochs": 60}).fit(X, y)
    assert classifier.score(X, y) == 1


def test_a_real_regression():
    pytest.importorskip("sktime")
    X, y = load_sktime("Covid3Month", "train")
    regressor = HiPPORNNRegressor(random_state=0, max_epochs=5).fit(X, y)
    assert regressor.predict(X).shape == (140,)


# --- stamps, empty records, weights, extreme values ------------------------------------------------------


@pytest.mark.parametrize("gate", ["timed", "mgu", None])
@pytest.mark.parametrize("measure", ["legs", "legt", "lagt"])
def test_rows_of_one_stamp_are_one_observation(measure, gate):
    n, y = np.nan, np.arange(40) % 2
    apart = [(np.array([0.0, 0, 1, 1]), np.array([[n, 5], [0, n], [0.1, n], [n, 2.0 * k - 1]])) for k in y]
    together = [(np.array([0.0, 1]), np.array([[0, 5], [0.1, 2.0 * k - 1]])) for k in y]
    late = [(np.array([0.0, 1, 1]), np.array([[0, 5], [7, 1 - 2.0 * k], [0.1, 2.0 * k - 1]])) for k in y]
    model = HiPPORNNClassifier(measure, **QUICK | {"gate": gate, "max_epochs": 30})
    expected = clone(model).fit(together, y)
    for X in (apart, late):
        fitted = clone(model).fit(X, y)
        assert_array_equal(fitted.predict_proba(X), expected.predict_proba(together))
        assert fitted.score(X, y) == 1
        regressor = HiPPORNNRegressor(measure, **QUICK | {"gate": gate, "max_epochs": 5})
        assert_array_equal(clone(regressor).fit(X, y).predict(X), clone(regressor).fit(together, y).predict(together))


@pytest.mark.parametrize("measure", ["legs", "fout"])
def test_an_empty_record_stops_no_network(measure):
    panel, y = classes(30)
    records = [[], *panel.to_list(), (np.array([1.0, 2.0]), np.full((2, 2), np.nan)), None]
    labels = np.r_[y[:1], y, y[:2]]
    params = QUICK | {"max_epochs": 3, "order": 6}
    model = HiPPORNNClassifier(measure, **params).fit(records, labels)
    alone = HiPPORNNClassifier(measure, **params).fit(panel, y)
    assert_array_equal(model.mean_, alone.mean_)
    assert model.timescale_ == alone.timescale_
    probabilities = model.predict_proba(records)
    assert_array_equal(probabilities[[0, -2, -1]], np.tile(probabilities[0], (3, 1)))
    assert_array_equal(model.predict_proba([[]]), probabilities[:1])
    # from the start of the memory: what the head makes of a hidden state of zeros
    bias = model.net_.module_.head.bias.detach().double().numpy()
    assert_allclose(probabilities[0], np.exp(bias) / np.exp(bias).sum(), rtol=1e-12)
    assert HiPPORNNRegressor(measure, **params).fit(records, np.arange(33.0)).predict([[], None]).shape == (2,)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # after one epoch
@pytest.mark.parametrize("estimator", [HiPPORNNClassifier, HiPPORNNRegressor])
def test_a_weight_of_two_is_the_series_twice(estimator):
    panel, y = classes(21)
    panel = drop_observations(panel, 0.2, 0, by_channel=True)
    target = y == "slow" if estimator is HiPPORNNClassifier else np.random.default_rng(0).normal(size=21)
    weights = np.random.default_rng(1).integers(0, 4, 21).astype(float)
    rows = np.repeat(np.arange(21), weights.astype(int))
    params = QUICK | {"max_epochs": 1}
    with np.errstate(all="raise"):
        weighted = estimator("legt", **params).fit(panel, target, weights)
    twice = estimator("legt", **params).fit(panel[rows], target[rows])
    for name in ("mean_", "scale_", "timescale_", "target_mean_", "target_scale_", "_constant_loss"):
        if hasattr(weighted, name):
            assert_allclose(getattr(weighted, name), getattr(twice, name), rtol=1e-12)
    assert not np.allclose(weighted.mean_, estimator("legt", **params).fit(panel, target).mean_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # after two epochs
@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300, 1.7e308])
def test_no_unit_of_the_values_is_too_large_or_too_small(size):
    panel, y = classes(40)
    values = panel.values / np.abs(panel.values).max(axis=0)
    model = HiPPORNNClassifier(**QUICK)
    expected = clone(model).fit(Panel(values, panel.times, panel.offsets), y)
    scaled = Panel(size * values, panel.times, panel.offsets)
    with np.errstate(over="raise", invalid="raise"):
        fitted = clone(model).fit(scaled, y)
    assert_allclose(fitted.scale_ / size, expected.scale_, rtol=1e-12)
    assert_allclose(fitted.mean_ / size, expected.mean_, rtol=1e-9, atol=1e-12)
    assert fitted.score(scaled, y) == expected.score(Panel(values, panel.times, panel.offsets), y) > 0.9
    target = np.cos(np.arange(40.0)) * min(size, 1e307)
    assert np.isfinite(HiPPORNNRegressor(**QUICK | {"max_epochs": 2}).fit(panel, target).predict(panel)).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # after one epoch
def test_extreme_values_ruin_nothing():
    panel, y = classes(60)
    model = HiPPORNNClassifier(**QUICK | {"max_epochs": 40})
    expected = clone(model).fit(panel, y)
    assert expected.score(panel, y) > 0.7
    for extreme in (1e4, 1e30, 1.7e308):
        values = panel.values.copy()
        values[::97] = extreme
        fitted = clone(model).fit(Panel(values, panel.times, panel.offsets), y)
        assert_allclose(fitted.scale_, expected.scale_, rtol=5)
        assert (fitted.scale_ < 6 * expected.scale_).all()
        assert fitted.score(panel, y) > 0.7
        far = panel.values.copy()
        far[3] = extreme  # a finite value is not called infinite, and changes one prediction only
        assert np.abs(expected._standardized(Panel(far, panel.times, panel.offsets)).values).max() <= 40
        probabilities = expected.predict_proba(Panel(far, panel.times, panel.offsets))
        assert np.isfinite(probabilities).all()
        assert_array_equal(probabilities[1:], expected.predict_proba(panel)[1:])
    plain = HiPPORNNClassifier(**QUICK | {"max_epochs": 1}, standardize=False).fit(panel, y)
    assert np.isfinite(plain.predict_proba(Panel(far, panel.times, panel.offsets))).all()
    # most values are the same, and the others are what there is to see
    rare = np.where(np.random.default_rng(0).uniform(size=panel.values.shape) < 0.1, panel.values, 0)
    fitted = clone(model).fit(Panel(rare, panel.times, panel.offsets), y)
    assert_allclose(fitted.scale_, rare.std(axis=0), rtol=1e-12)


def test_a_network_that_is_no_better_than_a_constant_says_so():
    panel, y = classes(40)
    spoiled = QUICK | {"max_epochs": 3, "schedule": "constant"}
    with pytest.warns(ConvergenceWarning, match="where a constant prediction has 0.693"):
        HiPPORNNClassifier(**spoiled | {"lr": 3.0}).fit(panel, y)
    with pytest.warns(ConvergenceWarning, match=r"where a constant prediction has 1\."):
        HiPPORNNRegressor(**spoiled | {"lr": 3.0}).fit(panel, np.arange(40.0) % 7)
    HiPPORNNClassifier(**spoiled | {"lr": 3.0}).partial_fit(panel, y, classes=["fast", "slow"])
    HiPPORNNRegressor(**spoiled).fit(panel, np.full(40, 3.0))  # nothing to learn


def test_many_series_stop_early(monkeypatch):
    panel, y = classes(40)
    assert HiPPORNNClassifier(**QUICK).fit(panel, y).validation_loss_curve_ is None
    monkeypatch.setattr("sklearn_hippo._session._MANY", 39)
    assert HiPPORNNClassifier(**QUICK).fit(panel, y).validation_loss_curve_ is not None
    assert HiPPORNNClassifier(**QUICK, early_stopping=False).fit(panel, y).validation_loss_curve_ is None


# --- the best epoch, and fits that are refused -----------------------------------------------------------

BEST = QUICK | {"max_epochs": 12, "early_stopping": True, "n_iter_no_change": 30, "schedule": "constant", "lr": 0.05}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_best_weights_survive_an_interruption(tmp_path):
    panel, y = classes(60)
    y = np.random.default_rng(3).permutation(y)  # little to be learned: the best epoch is an early one
    whole = HiPPORNNClassifier(**BEST).fit(panel, y)
    assert whole._best_epoch < 3
    Interrupt.armed = True
    path = tmp_path / "c"
    interrupted = HiPPORNNClassifier(**BEST, checkpoint=path, net_params={"callbacks": [Interrupt()]}).fit(panel, y)
    assert interrupted.n_iter_ == 3
    resumed = HiPPORNNClassifier(**BEST, checkpoint=path, net_params={"callbacks": [Interrupt()]}).fit(panel, y)
    assert resumed.validation_loss_curve_ == whole.validation_loss_curve_
    assert_array_equal(resumed.predict_proba(panel), whole.predict_proba(panel))
    # what has ended goes on from its last weights, and keeps the best ones
    short = HiPPORNNClassifier(**BEST | {"max_epochs": 6}, checkpoint=tmp_path / "d").fit(panel, y)
    assert short.n_iter_ == 6
    longer = HiPPORNNClassifier(**BEST, checkpoint=tmp_path / "d").fit(panel, y)
    assert longer.validation_loss_curve_ == whole.validation_loss_curve_
    assert_array_equal(longer.predict_proba(panel), whole.predict_proba(panel))
    again = HiPPORNNClassifier(**BEST, checkpoint=tmp_path / "d").fit(panel, y)
    assert_array_equal(again.predict_proba(panel), whole.predict_proba(panel))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("pickled", [False, True])
def test_a_warm_start_keeps_the_best_weights(pickled):
    panel, y = classes(60)
    y = np.random.default_rng(3).permutation(y)
    warm = HiPPORNNClassifier(**BEST, warm_start=True).fit(panel, y)
    expected = warm.predict_proba(panel)
    best = min(warm.validation_loss_curve_)
    warm = pickle.loads(pickle.dumps(warm)) if pickled else warm
    warm.set_params(lr=0.2, max_epochs=5).fit(panel, y)
    assert warm.n_iter_ == 17
    assert min(warm.validation_loss_curve_[12:]) > best  # none of these was better
    assert_array_equal(warm.predict_proba(panel), expected)


def refusals(panel, y):
    """Parameters, X, y and sample weights of fits that are refused."""
    never = Panel(np.column_stack([panel.values[:, 0], np.full(len(panel.values), np.nan)]), None, panel.offsets)
    new = np.where(y == "slow", "new", y)
    yield {"early_stopping": True}, panel[:4], ["a", "b", "c", "c"], None, "cannot be set aside"
    yield {"net_params": {"nonsense__x": 1}}, panel, new, None, "nonsense"
    yield {"net_params": {"module": None}}, panel, new, None, "net_params may not set"
    yield {"net_params": {"callbacks": "x"}}, panel, new, None, "list of callbacks"
    yield {}, never, new, None, "has no observation in any training series"
    yield {}, panel[:0], new[:0], None, "0 sample"
    yield {}, panel, new[:5], None, "inconsistent"
    yield {}, panel, None, None, "y is None"
    yield {}, panel, new, np.full(20, -1.0), "Negative"
    yield {}, panel, new, np.zeros(20), "zero"
    yield {"device": "tpu"}, panel, new, None, "not available"
    yield {"checkpoint": __file__, "max_epochs": 2}, panel, new, None, "not a checkpoint"
    yield {"lr": 1e37, "max_grad_norm": None}, panel, new, None, "diverged"
    yield {"measure": "legt"}, [[1.0], [2.0]] * 10, new, None, "cannot be learned"
    yield {"hidden_size": 0}, panel, new, None, "'hidden_size' parameter"
    yield {}, [[1.0, np.inf]] * 20, new, None, "infinite"


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_refused_fit_changes_nothing(warm_start):
    panel, y = classes(20)
    for fitted in (HiPPORNNClassifier(**QUICK | {"max_epochs": 2}, warm_start=warm_start),
                   HiPPORNNRegressor(**QUICK | {"max_epochs": 2}, warm_start=warm_start)):  # fmt: skip
        number = isinstance(fitted, HiPPORNNRegressor)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.fit(panel, np.arange(20.0) if number else y)
        expected, before = fitted.predict(panel), dict(vars(fitted))
        for parameters, X, target, weights, message in refusals(panel, y):
            if warm_start and (
                "observation" in message or "learned" in message or "aside" in message or "checkpoint" in message
            ):
                continue  # which a warm start does not learn, or refuses for its classes before
            target = y if warm_start and parameters and len(target) == len(y) else target
            if number and target is not None:
                if "cannot be set aside" in message:
                    X, target, message = X[:1], [1.0], "at least two series"
                else:
                    target = np.arange(float(len(target)))
            old = {name: getattr(fitted, name) for name in parameters}
            fitted.set_params(**parameters)
            with pytest.raises((ValueError, TypeError), match=message):
                fitted.fit(X, target, weights)
            fitted.set_params(**old)
            assert vars(fitted).keys() == before.keys()
            changed = [name for name, value in vars(fitted).items() if value is not before[name]]
            assert not changed
            assert_array_equal(fitted.predict(panel), expected)
    fresh = HiPPORNNClassifier(**QUICK)
    with pytest.raises(ValueError, match="only one class"):
        fresh.fit(panel, ["a"] * 20)
    assert vars(fresh) == vars(HiPPORNNClassifier(**QUICK))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda Y: 2 * Y, r"Series 0 has the label 2 in column 1 of y. Several labels .*MultiLabelBinarizer"),
        (lambda Y: 2 * Y - 1, r"Series 0 has the label -1 in column 0"),
        (lambda Y: np.where(Y == 1, np.nan, 0), r"Series 0 has the label nan in column 1"),
        (lambda Y: np.where(Y == 1, "yes", "no"), r"Series 0 has the label no in column 0"),
        (lambda Y: [["a"] if row[0] else ["b", "c"] for row in Y], "y must be an array of labels, or a table"),
    ],
)
def test_several_labels_are_zeros_and_ones(labels, message):
    panel, _ = classes(20)
    Y = np.c_[np.arange(20) % 2, 1 - np.arange(20) % 2]
    with pytest.raises(ValueError, match=message):
        HiPPORNNClassifier(**QUICK).fit(panel, labels(Y))


@pytest.mark.filterwarnings("ignore:The training ended")
def test_targets_keep_their_names():
    pd = pytest.importorskip("pandas")
    panel, _ = classes(20)
    table = pd.DataFrame({"sepsis": np.arange(20) % 2, "death": 1 - np.arange(20) % 2})
    short = QUICK | {"max_epochs": 1}
    assert HiPPORNNRegressor(**short).fit(panel, table).predict_online(panel).channel_names == ("sepsis", "death")
    assert HiPPORNNRegressor(**short).fit(panel, table["death"]).predict_online(panel).channel_names == ("death",)
    online = HiPPORNNClassifier(**short).fit(panel, table).predict_proba_online(panel)
    assert online.channel_names == ("sepsis", "death")
    online = HiPPORNNClassifier(**short).fit(panel, table["death"]).predict_proba_online(panel)
    assert online.channel_names == ("0", "1")
