"""The command line as a user meets it: exit codes, error lines, stdout against stderr."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.cli.commands import COMMANDS
from ectool.cli.main import main


def call(capsys, *arguments):
    """Run the command line in this process; return (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


def write_heatmaps(path, findings=None, rows=8, seed=0, ids=None, **changes):
    generator = np.random.default_rng(seed)
    maps = generator.random((2, rows, 4, 4)).astype(np.float16)
    logits = generator.normal(size=(2, rows, 3)).astype(np.float32)
    label = generator.integers(0, 3, rows)
    names = ids or [f"sample/{row}" for row in range(rows)]
    arrays = {
        "sample_id": np.array(names, dtype=np.dtypes.StringDType()),
        "label": label,
        "target": label,
        "clean": maps[0],
        "adversarial": maps[1],
        "logits_clean": logits[0],
        "logits_adversarial": logits[1],
        **changes,
    }
    recipe = Recipe(kind="heatmaps", stage="test", config={"seed": seed, "rows": rows})
    with growing(path, recipe, length=rows, shard_size=4) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            partial.write(number, {n: a[start:stop] for n, a in arrays.items()}, {})
        return partial.publish(findings)


def is_one_error_line(text):
    return text.startswith("error: ") and text.count("\n") == 1 and "expected" in text


class TestHelp:
    def test_does_not_import_heavy_libraries(self):
        code = (
            "import sys\n"
            "from ectool.cli.main import main\n"
            "try: main(['--help'])\n"
            "except SystemExit: pass\n"
            "heavy = {'numpy', 'torch', 'torchvision', 'zarr', 'h5py', 'sklearn', 'scipy'}\n"
            "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert all(name.split()[0] in done.stdout for name in COMMANDS)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_of_each_command_names_every_option(self, name, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "200")
        code, out, _ = call(capsys, *name.split(), "--help")
        assert code == 0
        for field in COMMANDS[name].model.model_fields:
            assert field.replace("_", "-") in out.lower().replace("_", "-")


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nonsense"], "No such command 'nonsense'"),
            (["score", "--nonsense"], "No such option: --nonsense"),
            (["score"], "--heatmaps: expected a value, got none"),
            (["score", "--heatmaps"], "requires an argument"),
            (["score", "--heatmaps", "x.zarr", "--gamma", "abc"], "--gamma: expected"),
            (["score", "--heatmaps", "x.zarr", "--gamma", "-1"], "greater than or equal to 0"),
            (["score", "--heatmaps", "x.zarr", "--cap", "0.5"], "greater than or equal to 1"),
            (["score", "--heatmaps", "x.zarr", "--similarity", "l2"], "'cosine', 'pearson'"),
            (["perturb", "--model", "m", "--output", "o.zarr", "--eps", "8/0"], "--eps: expected"),
            (["perturb", "--model", "resnet18", "--output", "o.zarr"], "no --checkpoint"),
            (["train", "--output", "m", "--until-epoch", "31"], "--until-epoch: expected"),
            (["train", "--output", "m", "--epochs", "0"], "--epochs: expected"),
            (["train", "--output", "m", "--device", "abacus"], "--device: expected a device"),
            (
                ["evaluate", "--models", "m", "--output", "o", "--require", "robust"],
                "--require: expected METRIC",
            ),
            (["convert", "a.zarr"], "Missing argument"),
        ],
    )
    def test_is_one_line_and_exit_2(self, arguments, message, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        code, out, err = call(capsys, *arguments)
        assert (code, out) == (2, "")
        assert is_one_error_line(err)
        assert message in err
        assert not list(tmp_path.glob("*.partial*"))

    def test_unknown_toml_key_fails(self, capsys, tmp_path):
        config = tmp_path / "c.toml"
        config.write_text("[score]\ngama = 2\n")
        code, _, err = call(capsys, "score", "--heatmaps", "x.zarr", "--config", config)
        assert code == 2
        assert "gama: expected one of" in err

    def test_debug_shows_the_traceback_and_keeps_the_exit_code(self, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        code, out, err = call(capsys, "score", "--heatmaps", "missing.zarr", "--debug")
        assert (code, out) == (3, "")
        assert err.startswith("Traceback (most recent call last):")
        assert is_one_error_line(err.splitlines(keepends=True)[-1])


class TestInput:
    def test_missing_file(self, capsys, tmp_path):
        code, out, err = call(capsys, "score", "--heatmaps", tmp_path / "missing.zarr")
        assert (code, out) == (3, "")
        assert is_one_error_line(err)

    def test_wrong_schema(self, capsys, tmp_path):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        call(capsys, "score", "--heatmaps", heatmaps, "--output", tmp_path / "w.zarr")
        code, _, err = call(capsys, "score", "--heatmaps", tmp_path / "w.zarr")
        assert code == 3
        assert "expected a heatmaps artifact, got schema 'weights'" in err

    def test_mismatched_ids_name_the_sample(self, capsys, tmp_path):
        first = write_heatmaps(tmp_path / "a" / "cams.zarr")
        other = write_heatmaps(tmp_path / "b.zarr", ids=[f"other/{row}" for row in range(8)])
        call(capsys, "score", "--heatmaps", first)
        previous = tmp_path / "a" / "weights.zarr"
        code, _, err = call(capsys, "score", "--heatmaps", other, "--previous", previous)
        assert code == 3
        assert "'other/0'" in err
        assert is_one_error_line(err)

    def test_non_finite_input_names_the_row(self, capsys, tmp_path):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        (heatmaps / "manifest.json").unlink()
        zarr.open_array(str(heatmaps / "clean"), mode="r+")[5, 0, 0] = np.nan
        code, _, err = call(capsys, "score", "--heatmaps", heatmaps)
        assert code == 3
        assert "NaN or infinity at row 5" in err

    def test_damaged_chunk_is_exit_5_and_names_the_shard(self, capsys, tmp_path):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        chunk = heatmaps / "clean" / "c" / "1" / "0" / "0"
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 0xFF
        chunk.write_bytes(bytes(data))
        code, out, err = call(capsys, "score", "--heatmaps", heatmaps)
        assert (code, out) == (5, "")
        assert "shard 1 of `clean`" in err


class TestOutput:
    def test_score_alone_prints_the_path_of_its_artifact(self, capsys, tmp_path):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        code, out, _ = call(capsys, "score", "--heatmaps", heatmaps)
        assert (code, out) == (0, f"{tmp_path / 'weights.zarr'}\n")

    def test_faults_of_data_are_one_document(self, capsys, tmp_path):
        (tmp_path / "cat").mkdir()
        (tmp_path / "cat" / "0.png").write_bytes(b"no image")
        code, out, err = call(capsys, "data", "check", f"imagefolder:{tmp_path}", "--json")
        document = json.loads(out)
        assert code == 5
        assert "cat/0.png: expected a readable image" in document["faults"][0]
        assert "got 1 fault" in err
        assert call(capsys, "data", "check", f"imagefolder:{tmp_path}")[:2] == (5, "")

    def test_json_is_exactly_one_document(self, capsys, tmp_path):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        code, out, err = call(capsys, "score", "--heatmaps", heatmaps, "--json", "--quiet")
        assert (code, err) == (0, "")
        document = json.loads(out)
        assert document["kind"] == "weights"
        assert document["samples"] == 8

    def test_again_is_up_to_date_and_another_key_is_exit_4(self, capsys, tmp_path):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        call(capsys, "score", "--heatmaps", heatmaps)
        code, out, err = call(capsys, "score", "--heatmaps", heatmaps)
        assert (code, out) == (0, f"{tmp_path / 'weights.zarr'}\n")
        assert "up to date" in err
        code, out, err = call(capsys, "score", "--heatmaps", heatmaps, "--gamma", "3")
        assert (code, out) == (4, "")
        assert "--force" in err
        code, _, _ = call(capsys, "score", "--heatmaps", heatmaps, "--gamma", "3", "--force")
        assert code == 0
        assert len(list(tmp_path.glob("weights.zarr.old-*"))) == 1

    def test_findings_are_warnings_on_stderr_each_time(self, capsys, tmp_path):
        maps = np.zeros((8, 4, 4), np.float16)
        heatmaps = write_heatmaps(tmp_path / "cams.zarr", {"zero_maps_clean": 8}, clean=maps)
        target = tmp_path / "cams.h5"
        line = f"warning: {target}: all heatmaps are zero"
        for known in ("", f"{target}: up to date\n"):
            code, out, err = call(capsys, "convert", heatmaps, target)
            assert (code, out) == (0, f"{target}\n")
            assert err.startswith(known + line)
            assert err.count("\n") == known.count("\n") + 1
        assert call(capsys, "convert", heatmaps, target, "--quiet")[2].startswith(line)

    def test_variable_and_toml_are_below_flags(self, capsys, tmp_path, monkeypatch):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        config = tmp_path / "c.toml"
        config.write_text("[defaults]\ngamma = 3\n[score]\ncap = 4\nfloor = 0.5\n")
        monkeypatch.setenv("ECTOOL_SCORE_CAP", "5")
        call(capsys, "score", "--heatmaps", heatmaps, "--config", config, "--floor", "0.25")
        _, out, _ = call(capsys, "inspect", tmp_path / "weights.zarr", "--json")
        found = json.loads(out)["config"]
        assert (found["gamma"], found["cap"], found["floor"]) == (3.0, 5.0, 0.25)

    def test_inspect_lays_out_lines_for_people(self, capsys, tmp_path):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        code, out, _ = call(capsys, "inspect", heatmaps)
        assert code == 0
        assert re.search(r"^kind: heatmaps$", out, re.MULTILINE)
        assert "clean" in out

    def test_convert_there_and_back(self, capsys, tmp_path):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        for source, target in (("cams.zarr", "b.h5"), ("b.h5", "c.zarr")):
            code, out, _ = call(capsys, "convert", tmp_path / source, tmp_path / target)
            assert (code, out) == (0, f"{tmp_path / target}\n")
        ids = [
            json.loads(call(capsys, "inspect", path, "--verify", "--json")[1])["id"]
            for path in (heatmaps, tmp_path / "b.h5", tmp_path / "c.zarr")
        ]
        assert len(set(ids)) == 1

    def test_doctor_reports_a_matching_pair(self, capsys):
        code, out, _ = call(capsys, "doctor", "--json")
        assert code == 0
        assert json.loads(out)["torchvision_matches_torch"]

    def test_closed_pipe_is_exit_141(self, tmp_path):
        heatmaps = write_heatmaps(tmp_path / "cams.zarr")
        command = f"{sys.executable} -m ectool inspect {heatmaps} --json; echo $? >&2"
        shell = subprocess.Popen(
            ["sh", "-c", f"( {command} ) | true"], stderr=subprocess.PIPE, text=True
        )
        _, err = shell.communicate(timeout=60)
        assert err.strip() == "141"


def test_documents_of_the_command_line_are_up_to_date():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "docs.make_cli", "--check"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
