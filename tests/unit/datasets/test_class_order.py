"""Which number each class has."""

import pytest

from ectool.datasets.class_order import order_matters, order_of, ordered_classes
from ectool.errors import InputError


@pytest.mark.parametrize(
    ("names", "natural"),
    [
        (["10", "9", "2", "0"], ["0", "2", "9", "10"]),
        (["10.0", "9.0", "-1"], ["-1", "9.0", "10.0"]),
        (["+3", "-12", "-2"], ["-12", "-2", "+3"]),
        (["007", "10", "8"], ["007", "8", "10"]),
        (["1.5", "10", "9"], ["1.5", "10", "9"]),  # not all are integers: as text
        (["b10", "b9"], ["b10", "b9"]),
        (["²", "1"], ["1", "²"]),
        (["é", "z", "a"], ["a", "z", "é"]),
    ],
)
def test_natural_order_is_by_value_where_all_are_integers(names, natural):
    assert ordered_classes(names, "natural", "here") == natural
    assert ordered_classes(names, "text", "here") == sorted(names)


@pytest.mark.parametrize("names", [["1", "1.0", "2"], ["01", "1"], ["0", "-0"]])
def test_one_number_is_one_class(names):
    with pytest.raises(InputError, match=r"here: expected one name .* the same number; give"):
        ordered_classes(names, "natural", "here")
    assert ordered_classes(names, "text", "here") == sorted(names)


def test_whether_it_matters():
    assert order_matters(["2", "10"])
    assert not order_matters(["1", "2"])
    assert not order_matters(["b2", "b10"])


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "01"), ("-1", "\N{MINUS SIGN}1"), ("a b", "a  b"), ("é", "e\u0301"), ("cat", "Cat")],
)
@pytest.mark.parametrize("default", ["natural", "text"])
def test_two_spellings_of_one_name_are_refused_unless_the_order_is_text(one, other, default):
    with pytest.raises(InputError, match="x: expected one name for each class"):
        ordered_classes([one, other], None, "x", default=default)
    assert set(ordered_classes([one, other], "text", "x")) == {one, other}


def test_letters_may_differ_in_case():
    assert ordered_classes(["a", "B", "A"], None, "x") == ["A", "B", "a"]


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("0", "1", "10", "2"), "text"),
        (("0", "1", "2", "10"), "natural"),
        (("0", "1", "2"), None),
        (("b", "a"), None),
        (("2", "10", "1"), None),
    ],
)
def test_the_order_that_names_are_in(names, order):
    assert order_of(names) == order
