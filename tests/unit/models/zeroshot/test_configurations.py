from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ectool.errors import InputError
from ectool.models.names import resolved_architecture, shown_architecture
from ectool.models.zeroshot.configurations import names, read, resolved

TINY = {"embed_dim": 8, "vision_cfg": {"image_size": 32}, "text_cfg": {}}


@pytest.fixture
def written(tmp_path):
    def write(content: object):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "tiny.json").write_text(text)
        return str(tmp_path / "tiny.json")

    return write


def test_names_are_those_of_open_clip():
    import open_clip

    assert sorted(open_clip.list_models()) == list(names())
    assert {"ViT-B-32", "RN50"} <= set(names())


def test_a_name_stands_for_itself():
    assert resolved_architecture("openclip:ViT-B-32") == "openclip:ViT-B-32"
    assert resolved_architecture("timm:a.json") == "timm:a.json"
    assert shown_architecture("openclip:ViT-B-32") == "openclip:ViT-B-32"
    assert read("ViT-L-14-336").image_size == (336, 336)


def test_the_content_of_a_file_takes_its_place(written):
    path = written({**TINY, "quick_gelu": True})
    text = resolved(path)
    assert json.loads(text) == {**TINY, "quick_gelu": True}
    assert resolved(text) == text
    assert read(text) == read(path)
    assert resolved(written(dict(reversed({**TINY, "quick_gelu": True}.items())))) == text
    assert shown_architecture(f"openclip:{text}") == "openclip:{…}"


def test_a_file_of_the_hub_has_the_preprocessing(written):
    preprocessing = {"mean": [0.5] * 3, "std": [0.25] * 3}
    found = read(written({"model_cfg": TINY, "preprocess_cfg": preprocessing}))
    assert (found.network, found.preprocessing) == (TINY, preprocessing)
    assert (found.image_size, read(written(TINY)).preprocessing) == ((32, 32), {})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "ViT-B-33",
            r"expected one of \d+ architectures of open_clip, or .*; did you mean ViT-B-32",
        ),
        ("vitb32", r"did you mean ViT-B-32\?"),
        ("ViT-B-32/openai", "with the tag of public weights; nothing is downloaded: give --model "),
        ("RN50:yfcc15m", "give --model openclip:RN50 and --checkpoint FILE"),
        ("hf-hub:laion/x", "nothing is downloaded: give its open_clip_config.json as --model "),
        ("ViT-B-16-SigLIP", "got hf_tokenizer_name timm/.*, which would have to be downloaded"),
        ("roberta-ViT-B-32", "expected a text tower with the tokenizer of open_clip, got hf_"),
        ("missing.json", "expected a file of open_clip's configuration, got No such file"),
        ("{", "model openclip:{…}: expected valid JSON, got Expecting property name"),
    ],
)
def test_names_that_are_refused(name, message):
    with pytest.raises(InputError, match=message):
        read(name)


@pytest.mark.parametrize(
    "content",
    [
        [],
        3,
        {},
        {"model_cfg": 3},
        {"embed_dim": 8},
        {**TINY, "embed_dim": "8"},
        {**TINY, "text_cfg": 1},
    ],
    ids=str,
)
def test_files_that_are_no_configuration(written, content):
    message = "expected a configuration of open_clip, with embed_dim, vision_cfg, text_cfg, got"
    with pytest.raises(InputError, match=message):
        read(written(content))


@pytest.mark.parametrize(
    ("vision", "preprocessing", "message"),
    [
        (
            {"image_size": "big"},
            {},
            'expected image_size, a number of pixels or two, got "big"; ',
        ),
        ({"image_size": [3, 4, 5]}, {}, r"a number of pixels or two, got \[3, 4, 5\]"),
        ({}, {"mean": 0.5}, "expected mean, three numbers for pixels in .0, 1., got 0.5"),
        ({}, {"std": [1, 1, "1"]}, "expected std, three numbers"),
        (
            {"timm_model_name": "hf-hub:a/b"},
            {},
            "name of a network of timm, got hf-hub:a/b, a p",
        ),
    ],
)
def test_values_that_are_refused(written, vision, preprocessing, message):
    content = {"model_cfg": TINY | {"vision_cfg": vision}, "preprocess_cfg": preprocessing}
    with pytest.raises(InputError, match=message):
        read(written(content))


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    message = r"expected the package open_clip_torch, got none; pip install 'ectool\[openclip\]'"
    with pytest.raises(InputError, match=message):
        read("ViT-B-32")


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from ectool.models.names import check_architecture as check; "
        "check('openclip:RN50'); assert not {'torch', 'open_clip'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
