"""The sliding windows, against a plain model of a link that loses, repeats and cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from wire.window import AckAheadError, Fresh, Gap, ReceiveWindow, SendWindow

pytestmark = pytest.mark.unit


class Link(RuleBasedStateMachine):
    """A sender, a receiver and what is on its way; the model is the set of numbers that the receiver has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.sender = SendWindow()
        self.receiver = ReceiveWindow()
        self.on_its_way: list[range] = []
        self.acks: list[int] = []
        self.seen: list[int] = []

    @rule(count=st.integers(1, 5))
    def grow(self, count: int) -> None:
        self.sender = self.sender.grown(self.sender.last + count)

    @rule(count=st.integers(1, 4))
    def send(self, count: int) -> None:
        first, upto = self.sender.sent + 1, min(self.sender.sent + count, self.sender.last)
        if first <= upto:
            self.on_its_way.append(range(first, upto + 1))
            self.sender = self.sender.advanced(upto)

    @rule(is_repeated=st.booleans())
    def deliver(self, is_repeated: bool) -> None:
        if not self.on_its_way:
            return
        batch = self.on_its_way[0] if is_repeated else self.on_its_way.pop(0)
        match self.receiver.place(batch.start, len(batch)):
            case Gap(expect):
                assert expect == len(self.seen) + 1
                self.sender = self.sender.rewound()
            case Fresh(skip):
                self.seen += batch[skip:]
                self.receiver = self.receiver.received(batch.stop - 1)
                self.acks.append(self.receiver.upto)

    @rule()
    def lose(self) -> None:
        if self.on_its_way:
            self.on_its_way.pop(0)

    @rule()
    def acknowledge(self) -> None:
        if self.acks:
            self.sender = self.sender.acknowledged(self.acks.pop(0))

    @rule()
    def cut(self) -> None:
        self.on_its_way.clear()
        self.acks.clear()
        self.sender = self.sender.rewound()

    @invariant()
    def the_receiver_holds_each_number_once_and_in_order(self) -> None:
        assert self.seen == list(range(1, self.receiver.upto + 1))
        assert self.sender.acked <= self.receiver.upto <= self.sender.last

    def teardown(self) -> None:
        self.cut()
        while not self.sender.is_drained:
            self.send(count=4)
            self.deliver(is_repeated=False)
            self.acknowledge()
        assert self.seen == list(range(1, self.sender.last + 1))


def test_over_a_bad_link_everything_arrives_once_and_in_order() -> None:
    run_state_machine_as_test(Link)


def test_in_flight_and_unsent_add_up() -> None:
    window = SendWindow().grown(10).advanced(6).acknowledged(2)
    assert (window.acked, window.in_flight, window.unsent, window.is_drained) == (2, 4, 4, False)


def test_an_older_figure_moves_nothing_back() -> None:
    window = SendWindow(acked=5, sent=7, last=9)
    assert window.grown(3) == window.advanced(4) == window.acknowledged(2) == window
    assert ReceiveWindow(5).received(3) == ReceiveWindow(5)


def test_an_acknowledgement_of_what_was_never_written_is_refused() -> None:
    with pytest.raises(AckAheadError, match="acknowledged up to 10, but only 9 exist") as caught:
        SendWindow(last=9).acknowledged(10)
    assert (caught.value.upto, caught.value.last) == (10, 9)


def test_an_acknowledgement_ahead_of_this_connection_counts_as_sent() -> None:
    assert SendWindow(last=9).acknowledged(4) == SendWindow(acked=4, sent=4, last=9)


def test_after_a_rewind_sending_begins_behind_the_acknowledged() -> None:
    assert SendWindow(acked=3, sent=8, last=9).rewound() == SendWindow(acked=3, sent=3, last=9)


@given(st.integers(0, 50), st.integers(1, 60), st.integers(0, 20))
def test_a_batch_is_placed_by_its_numbers(upto: int, first: int, count: int) -> None:
    held = set(range(1, upto + 1))
    batch = list(range(first, first + count))
    match ReceiveWindow(upto).place(first, count):
        case Gap(expect):
            assert first > expect == upto + 1
        case Fresh(skip):
            assert all(n in held for n in batch[:skip])
            assert not any(n in held for n in batch[skip:])
