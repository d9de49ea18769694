"""Near misses: the line of the error names what was probably meant."""

from __future__ import annotations

import shlex

import pytest

from ectool.cli.main import main

PERTURB = "perturb --model m --output o.zarr"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("trian --output m", "train"),
        ("data lst", "data list"),
        ("info digits", "data info"),
        ("perturb --epss 3", "--eps"),
        ("score --heatmap a.zarr", "--heatmaps"),
        ("doctor --jsn", "--json"),
        (f"{PERTURB} --method grad-cam", "gradcam"),
        (f"{PERTURB} --method GradCAM_plus_plus", "gradcam++"),
        (f"{PERTURB} --attack pdg", "pgd"),
        ("perturb --model resnet5 --output o.zarr", "resnet50"),
        ("evaluate --model m --output o --suite accuracy,debias", "debiasing"),
        ("train --objective EC_cam --output m", "ec-cam"),
        ("train --model tim:resnet18 --output m", "timm"),
        ("train --data dgits --output m", "digits"),
        ("data info .", "imagefolder:."),
        ("train --split trian --output m", "train"),
        ("score --heatmaps a.zarr --config c.toml", "gamma"),
        ("explain --model m --output a.zarr --config d.toml", "perturb"),
        ("explain --model m --output a.zarr --config e.toml", "method"),
    ],
)
def test_a_near_miss_gets_a_hint(line, meant, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECTOOL_DATA", str(tmp_path))
    (tmp_path / "c.toml").write_text("[score]\ngama = 2\n")
    (tmp_path / "d.toml").write_text("[pertrub]\neps = 2\n")
    (tmp_path / "e.toml").write_text("[defaults]\nmethode = 'cam'\n")
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line))
    out, err = capsys.readouterr()
    assert stop.value.code in (2, 3)
    assert out == ""
    assert err.count("\n") == 1
    assert f"; did you mean {meant}? " in err


def test_what_is_near_nothing_gets_none(capsys):
    with pytest.raises(SystemExit):
        main(["score", "--nonsense", "1"])
    assert "did you mean" not in capsys.readouterr().err
