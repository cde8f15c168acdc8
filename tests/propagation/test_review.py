from mmssl.propagation.tables import spread_out


def test_a_review_lists_the_lowest_of_its_neighborhood_once() -> None:
    doubtful = [(0.1 + 0.01 * abs(frame - 20), frame, 1, "") for frame in range(40)]
    assert [frame for _, frame, _, _ in spread_out(doubtful, 4)] == [20, 15, 25, 10]
    assert [frame for _, frame, _, _ in spread_out(doubtful, 99, apart=15)] == [20, 5, 35]


def test_objects_do_not_hide_each_other() -> None:
    doubtful = [(0.2, 5, 1, ""), (0.3, 5, 2, ""), (0.25, 6, 1, ""), (0.1, 30, 2, "")]
    assert [(frame, key) for _, frame, key, _ in spread_out(doubtful, 4)] == [(30, 2), (5, 1), (5, 2)]
