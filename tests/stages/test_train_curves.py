from mmssl.stages.train_curves import curves

LINES = [
    {"step": 2, "epoch": 0, "loss": 1.5, "accuracy": 0.2, "accuracy_in_place": 0.1, "lr": 0.1, "seen_cells": 7},
    {"step": 4, "epoch": 1, "loss": None, "accuracy": 0.4, "accuracy_in_place": 0.1, "lr": 0.05, "spread": 0.9},
]


def test_each_quantity_has_a_plot_with_words_and_units() -> None:
    plots = curves(LINES, units={"loss": "nats", "accuracy": "share"}, guesses={})
    assert [(plot.title, plot.y_label) for plot in plots] == [
        ("Loss", "loss (nats)"),
        ("Accuracy", "accuracy (share)"),
        ("Learning rate", "learning rate"),
        ("Seen cells", "seen cells"),
        ("Spread of the embeddings", "spread (0 to about 1)"),
    ]
    assert {plot.x_label for plot in plots} == {"steps of the optimizer"}


def test_numbers_of_one_kind_share_a_plot_and_gaps_are_left_out() -> None:
    loss, accuracy, *_ = curves(LINES, units={}, guesses={})
    assert [(series.name, series.y) for series in accuracy.series] == [
        ("accuracy", (0.2, 0.4)),
        ("accuracy in place", (0.1, 0.1)),
    ]
    (series,) = loss.series
    assert (series.x, series.y) == ((2.0,), (1.5,))


def test_names_that_differ_in_a_number_share_a_plot() -> None:
    line = {"step": 1, "loss": 1.0, "return_accuracy_1": 0.5, "return_accuracy_2": 0.25}
    _, plot = curves([line], units={"accuracy": "share"}, guesses={})
    assert (plot.title, plot.y_label) == ("Return accuracy", "return accuracy (share)")
    assert [series.name for series in plot.series] == ["return accuracy 1", "return accuracy 2"]


def test_of_many_numbers_some_are_drawn_over_steps_and_all_over_the_number() -> None:
    line = {"step": 1, "loss": 1.0} | {f"accuracy_{number}": 1 / number for number in range(1, 13)}
    _, accuracy, by_number = curves([line], units={}, guesses={"accuracy_1": 0.1}, numbers="steps ahead")
    wanted = ["accuracy 1", "a guess", "accuracy 2", "accuracy 4", "accuracy 8", "accuracy 12"]
    assert [series.name for series in accuracy.series] == wanted
    assert by_number.series[0].x == tuple(map(float, range(1, 13)))


def test_a_guess_is_drawn_from_the_first_look_to_the_last() -> None:
    _, accuracy, *_ = curves(LINES, units={}, guesses={"accuracy": 0.5})
    (guess,) = (series for series in accuracy.series if series.name == "a guess")
    assert (guess.x, guess.y) == ((2.0, 4.0), (0.5, 0.5))
