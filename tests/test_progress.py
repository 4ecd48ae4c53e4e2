"""How far a run is, where there is no terminal: a line every half minute, once there is a rate."""

import pytest

from ibdyn import progress


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the progress reads, in a list of one."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_says_what_is_done_at_which_rate_and_what_is_left(clock, capsys):
    with progress.Progress(100, shown=True) as shown:
        for second, done in ((10, 0), (40, 20), (60, 30), (80, 40)):
            clock[0] = second
            shown.at(done, 0.5)
    # From the first epochs on: ten in 20 s after 40 s, and none said again within 30 s.
    assert capsys.readouterr().err == "epoch 30 of 100, 0.5 epochs/s, 02:20 left, loss 0.5000 nat\n"


def test_looks_within_one_long_epoch_say_nothing(clock, capsys):
    with progress.Progress(3, shown=True) as shown:
        for second in range(0, 200, 40):
            clock[0] = second
            shown.at(1)
        assert capsys.readouterr().err == ""
        shown.at(2)
    assert capsys.readouterr().err == "epoch 2 of 3, 0.0 epochs/s, 02:40 left\n"


def test_what_is_not_shown_is_silent(clock, capsys):
    with progress.Progress(100, shown=False) as shown:
        for second, done in ((10, 1), (60, 20), (120, 60)):
            clock[0] = second
            shown.at(done)
    assert capsys.readouterr().err == ""
