"""Pages of a small experiment, which is written through the artifacts layer."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ttest_rel
from written_evaluations import (
    CLASSES,
    METRICS,
    SIDE,
    N,
    write_experiment,
    write_images,
)

from ectool.artifacts import folder
from ectool.artifacts.manifest import Recipe
from ectool.config import DataOptions, ReportConfig
from ectool.errors import InputError, IntegrityError, UsageError
from ectool.stages import report
from ectool.stages.evaluate.definitions import describe

T_95_DF2 = 4.302652729911275
"""0.975 quantile of Student's t with 2 degrees of freedom."""


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory) -> DataOptions:
    images = tmp_path_factory.mktemp("images")
    write_images(images)
    return DataOptions(data=f"imagefolder:{images}", size=SIDE)


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory, options: DataOptions) -> Path:
    root = tmp_path_factory.mktemp("made") / "experiment"
    write_experiment(root, options, (0, 1, 2), 2)
    report.run(ReportConfig(paths=root))
    return root


@pytest.fixture(scope="session")
def document(experiment: Path) -> dict:
    found = json.loads((experiment / "report.json").read_text())
    (arms,) = found["experiments"]
    return found | arms


@pytest.fixture(scope="session")
def page(experiment: Path) -> str:
    return (experiment / "report.html").read_text()


def interval_by_hand(values: list[float]) -> tuple[float, float, float]:
    mean = sum(values) / 3
    deviation = (sum((v - mean) ** 2 for v in values) / 2) ** 0.5
    half = T_95_DF2 * deviation / 3**0.5
    return mean, mean - half, mean + half


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("arm", ["plain", "weighted"])
def test_means_and_intervals_are_those_over_the_seeds(document, arm, name):
    found = document["arms"][arm]["metrics"][name]
    values = METRICS[name][arm]
    assert found["values"] == {str(seed): value for seed, value in enumerate(values)}
    mean, low, high = interval_by_hand(list(values))
    if describe(name).scale == "share":
        low, high = max(low, 0), min(high, 1)
    assert [found["mean"], found["low"], found["high"]] == pytest.approx([mean, low, high])
    assert found["n"] == 3


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("accuracy@original", "better"), ("background_gap", "worse"), ("robust@2/255", None)],
)
def test_differences_are_paired_and_have_verdicts(document, name, verdict):
    found = document["arms"]["weighted"]["metrics"][name]["difference"]
    pairs = zip(METRICS[name]["weighted"], METRICS[name]["plain"], strict=True)
    expected = interval_by_hand([a - b for a, b in pairs])
    assert [found["mean"], found["low"], found["high"]] == pytest.approx(expected)
    assert found["verdict"] == verdict
    assert document["arms"]["plain"]["metrics"][name]["difference"] is None


def test_p_values_are_of_the_paired_t_test_corrected_for_the_headlines(document):
    entries = document["arms"]["weighted"]["metrics"]
    p_values = {
        name: ttest_rel(values["weighted"], values["plain"]).pvalue
        for name, values in METRICS.items()
    }
    lower_bound = 0.0  # Holm's step-down, by hand: all of these are headline metrics of one arm
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        lower_bound = max(lower_bound, min(1.0, (len(p_values) - rank) * p_values[name]))
        found = entries[name]["difference"]
        assert found["p_value"] == pytest.approx(p_values[name])
        assert found["p_holm"] == pytest.approx(lower_bound)


def cells(page: str) -> dict[str, list[str]]:
    """Return the text of the cells of each row of the table of results."""
    section = page.partition('<div id="results"')[2]
    body = section[section.index("<tbody>") : section.index("</tbody>")]
    rows = {}
    for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL):
        texts = [re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", row)]
        label, *rest = [" ".join(text.split()) for text in texts]
        rows[label] = rest
    return rows


def test_page_marks_significant_differences_in_words(page):
    rows = cells(page)
    difference = rows["accuracy, original ↑ higher is better"][2]
    assert re.fullmatch(r"\+20\.0 ✔ better \[\+17\.5, \+22\.5\] p 0\.00\d", difference)
    assert "worse" in rows["background gap ↓ lower is better"][2]
    unmarked = rows["robust accuracy, 2/255 ↑ higher is better"][2]
    assert "better" not in unmarked
    assert "worse" not in unmarked
    assert unmarked.startswith("+6.7 [")


def test_page_shows_the_numbers_in_percent(page, document):
    for name, shown in zip(document["metrics"], cells(page).values(), strict=True):
        for arm, text in zip(("plain", "weighted"), shown[:2], strict=True):
            found = document["arms"][arm]["metrics"][name]
            numbers = [f"{100 * found[key]:.1f}" for key in ("mean", "low", "high")]
            expected = "{} [{}, {}]".format(*numbers).replace("-", "\N{MINUS SIGN}")
            assert text == expected


def test_rounds_are_summarized(document):
    rounds = document["arms"]["weighted"]["rounds"]
    assert list(rounds) == ["0", "1", "2"]
    assert document["arms"]["plain"]["rounds"] == {}
    first = rounds["0"][0]
    assert first["number"] == 1
    assert (first["samples"], first["undefined"]) == (N, 1)
    assert first["effective_sample_size"] == 7.25
    assert first["findings"] == {"capped_weights": 1.0, "undefined_similarity": 1.0}
    known = [(row + 1) / 10 for row in range(1, N)]
    assert first["consistency"]["mean"] == pytest.approx(sum(known) / len(known))
    assert sum(first["consistency"]["counts"]) == N - 1
    assert first["similarity"] == first["consistency"]  # the stability is 1
    assert first["stability"]["mean"] == 1
    assert set(document["bins"]) == {"explanation_consistency", "similarity", "stability", "weight"}
    assert sum(first["weight"]["counts"]) == N
    assert len(first["weight"]["counts"]) == len(document["bins"]["weight"]) - 1


def test_samples_are_joined_on_their_ids(document):
    sheet = document["samples"]
    assert (sheet["arm"], sheet["seed"], sheet["round"]) == ("weighted", 0, 2)
    by_id = {sample["sample_id"]: sample for sample in sheet["samples"]}
    assert len(by_id) == 6
    for sample in by_id.values():
        assert sample["sample_id"].startswith(f"train/{sample['label']}/")
        assert sample["predicted"][0] != sample["predicted"][1]
        assert sample["consistency"] == sample["similarity"] * sample["stability"]
    extremes = {(s["label"], s["choice"]): s["consistency"] for s in by_id.values()}
    # Scores rise with the row and the rows run backwards: the last class holds the low ones.
    assert extremes[CLASSES[1], "least consistent"] == pytest.approx(0.2)
    assert extremes[CLASSES[1], "most consistent"] == pytest.approx(0.4)
    assert extremes[CLASSES[0], "least consistent"] == pytest.approx(0.5)
    assert extremes[CLASSES[0], "most consistent"] == pytest.approx(0.8)


class Page(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="session")
def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Page()
    parser.feed(page)
    return parser.tags


def test_names_are_escaped(page, tags):
    assert "&lt;script&gt;alert(1)&lt;" in page
    assert "Title &lt;b&gt; &amp; co" in page
    assert not {"i"} & {tag for tag, _ in tags}
    assert [attributes for tag, attributes in tags if tag == "script"] == [{}]
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)


def test_nothing_is_fetched_from_elsewhere(page, tags):
    assert not re.search(r"https?://|@import|url\((?!#)", page)
    for tag, attributes in tags:
        for name in ("src", "href", "xlink:href", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/")), (tag, name)
    assert not {"link", "iframe", "object", "form"} & {tag for tag, _ in tags}


def test_page_is_accessible(tags):
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    assert all(attributes.get("scope") for tag, attributes in tags if tag == "th")
    charts = [a for tag, a in tags if tag == "svg" and a.get("class") == "chart"]
    assert len(charts) == 3 + 5 + 2  # learning, rounds, robustness and the trade-off
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = [a["href"][1:] for tag, a in tags if tag == "a"]
    assert set(targets) <= set(ids)


def test_page_shows_its_origin(page, document):
    origin = document["provenance"]
    assert origin["command"] == "ectool report experiment"
    assert origin["data"][0].startswith("imagefolder:")
    assert origin["settings"]["train"] == {"epochs": 4}
    assert origin["versions"]["numpy"] == np.__version__
    assert "<code>ectool report experiment</code>" in page


def test_strip_is_an_image(experiment):
    with Image.open(experiment / "strip.png") as strip:
        assert strip.format == "PNG"
        assert not strip.info
        assert strip.size[0] > strip.size[1] // 2


def test_equal_experiments_give_equal_bytes(experiment, tmp_path):
    copy = tmp_path / "experiment"
    shutil.copytree(experiment, copy, ignore=shutil.ignore_patterns("report.*", "strip.png"))
    report.run(ReportConfig(paths=copy))
    for name in ("report.html", "report.json", "strip.png"):
        assert (copy / name).read_bytes() == (experiment / name).read_bytes()


def test_output_is_written_to_its_folder(experiment, tmp_path):
    output = tmp_path / "new" / "page.html"
    assert report.run(ReportConfig(paths=experiment, output=output)).path == output
    names = sorted(path.name for path in output.parent.iterdir())
    assert names == ["page.html", "report.json", "strip.png"]


def test_one_seed_has_no_intervals_and_no_verdicts(options, tmp_path):
    root = write_experiment(tmp_path / "one", options, (0,), 1)
    page = report.run(ReportConfig(paths=root)).path.read_text()
    found = json.loads((root / "report.json").read_text())["experiments"][0]["arms"]["weighted"][
        "metrics"
    ]
    entry = found["accuracy@original"]
    assert (entry["mean"], entry["low"], entry["high"], entry["n"]) == (0.70, None, None, 1)
    assert entry["difference"]["mean"] == pytest.approx(0.2)
    assert entry["difference"]["verdict"] is None
    rows = cells(page)
    assert rows["accuracy, original ↑ higher is better"] == ["50.0 -", "70.0 -", "+20.0 -"]


def test_experiment_without_rounds(options, tmp_path):
    root = write_experiment(tmp_path / "none", options, (0, 1), 0)
    (root / "strip.png").write_bytes(b"of an earlier report")
    page = report.run(ReportConfig(paths=root)).path.read_text()
    assert 'id="rounds"' not in page
    assert 'id="samples"' not in page
    assert json.loads((root / "report.json").read_text())["experiments"][0]["samples"] is None
    assert not (root / "strip.png").exists()


def copy_of(experiment: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(experiment, tmp_path / "copy"))


def test_other_numbers_are_not_shown_in_percent(experiment, tmp_path):
    root = copy_of(experiment, tmp_path)
    for path in root.glob("seed-*/*/eval"):
        results = json.loads((path / "results.json").read_text())
        entry = results["metrics"]["accuracy@original"]
        changes = {"value": 1.25, "label": "NLL", "higher_is_better": False, "is_share": False}
        results["metrics"]["nll"] = entry | changes
        (path / "results.json").write_text(json.dumps(results))
        folder.seal(path, Recipe(kind="evaluation", stage="evaluate", config={}))
    page = report.run(ReportConfig(paths=root)).path.read_text()
    assert cells(page)["NLL ↓ lower is better"] == [
        *("1.250 [1.250, 1.250]", "1.250 [1.250, 1.250]", "0.000 [0.000, 0.000] p 1.000")
    ]
    assert cells(page)["accuracy, original ↑ higher is better"][0].startswith("55.0 [")


def test_missing_experiment(tmp_path):
    with pytest.raises(InputError, match=r"no experiment\.json in it; check the path"):
        report.run(ReportConfig(paths=tmp_path))
    with pytest.raises(InputError, match="no such folder"):
        report.run(ReportConfig(paths=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": 3}, "runs: Input should be a valid"),
        ({"reference": "other"}, "arm 'other' without an entry"),
    ],
)
def test_invalid_record(experiment, tmp_path, change, message):
    root = copy_of(experiment, tmp_path)
    record = json.loads((root / "experiment.json").read_text())
    (root / "experiment.json").write_text(json.dumps(record | change))
    with pytest.raises(InputError, match=message):
        report.run(ReportConfig(paths=root))


def test_changed_results_are_detected(experiment, tmp_path):
    root = copy_of(experiment, tmp_path)
    results = root / "seed-1" / "plain" / "eval" / "results.json"
    results.write_text(results.read_text().replace("0.55", "0.95"))
    with pytest.raises(IntegrityError, match=r"results\.json"):
        report.run(ReportConfig(paths=root))


def test_changed_data_are_detected(options, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(options.data.partition(":")[2], images)
    own = options.model_copy(update={"data": f"imagefolder:{images}"})
    root = write_experiment(tmp_path / "moved", own, (0,), 1)
    next((images / "train" / CLASSES[0]).iterdir()).unlink()
    with pytest.raises(InputError, match=r"expected the data of .*adv\.zarr, fingerprint"):
        report.run(ReportConfig(paths=root))


def test_output_must_be_a_page(experiment):
    with pytest.raises(UsageError, match=r"ends in \.html or \.htm, got \.json"):
        report.run(ReportConfig(paths=experiment, output=experiment / "experiment.json"))
