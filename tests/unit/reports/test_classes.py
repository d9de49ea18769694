from __future__ import annotations

from ectool.reports.classes import (
    MAX_CONFUSIONS,
    MAX_MATRIX_CLASSES,
    MAX_TABLE_CLASSES,
    class_tables,
    confusions,
)


def line(name, accuracy, n=10):
    return {"name": name, "accuracy": accuracy, "low": 0, "high": 1, "n": n}


def test_every_model_is_a_column(make_report, make_evaluation):
    a = make_evaluation("a", classes=[line("cat", 0.5), line("dog", None)])
    b = make_evaluation("b", classes=[line("dog", 0.25), line("cat", 1.0)])
    (table,) = class_tables(make_report(a, b, make_evaluation("c")))
    assert table.models == ("a", "b")
    assert [one.name for one in table.lines] == ["cat", "dog"]
    assert table.lines[0].values == {"a": 0.5, "b": 1.0}
    assert table.lines[1].values["a"] != table.lines[1].values["a"]  # NaN
    assert (table.measure, table.lines[0].n, table.count) == ("accuracy", 10, 2)


def test_multilabel_data_have_average_precision(make_report, make_evaluation):
    row = {"name": "cat", "average_precision": 0.5, "present": 7, "absent": 3}
    (table,) = class_tables(make_report(make_evaluation(classes=[row])))
    assert (table.measure, table.lines[0].n) == ("average precision", 7)


def test_of_many_classes_the_lowest_are_shown_in_their_order(make_report, make_evaluation):
    count = MAX_TABLE_CLASSES + 50
    rows = [line(str(number), (number * 7 % count) / count) for number in range(count)]
    (table,) = class_tables(make_report(make_evaluation(classes=rows)))
    names = [int(one.name) for one in table.lines]
    assert names == sorted(names)
    assert len(names) == MAX_TABLE_CLASSES
    assert max(number * 7 % count for number in names) == MAX_TABLE_CLASSES - 1
    assert table.count == count


def confused(*rows):
    return [{"label": a, "predicted": b, "n": n} for a, b, n in rows]


def test_confusion(make_report, make_evaluation):
    rows = confused(("cat", "cat", 3), ("cat", "dog", 1), ("dog", "cat", 2))
    classes = [line("dog", 0), line("cat", 0.75)]
    (found,) = confusions(make_report(make_evaluation(confusion=rows, classes=classes)))
    assert found.classes == ("dog", "cat")
    assert found.counts == ((0, 2), (1, 3))
    assert found.pairs == (("dog", "cat", 2), ("cat", "dog", 1))
    assert found.share(1, 1) == 0.75
    assert found.has_matrix


def test_a_class_without_images_has_no_share(make_report, make_evaluation):
    rows = confused(("cat", "dog", 1))
    (found,) = confusions(make_report(make_evaluation(confusion=rows)))
    assert found.share(found.classes.index("dog"), 0) == 0


def test_many_classes_have_no_matrix(make_report, make_evaluation):
    count = MAX_MATRIX_CLASSES + 1
    rows = confused(*((str(a), str((a + 1) % count), a + 1) for a in range(count)))
    (found,) = confusions(make_report(make_evaluation(confusion=rows)))
    assert not found.has_matrix
    assert found.pairs[0] == (str(count - 1), "0", count)
    assert len(found.pairs) == MAX_CONFUSIONS
