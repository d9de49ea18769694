"""Which line an exception becomes, and where the traceback of a bug is kept."""

from __future__ import annotations

import errno
import stat
import warnings

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from ectool.cli.faults import fault_of, save_traceback
from ectool.cli.main import main
from ectool.cli.remarks import remarks_as
from ectool.errors import InputError, IntegrityError
from ectool.machine import is_of_disk


def raised(call):
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "ectool"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), "x: expected free space"),
        (OSError("1000 requested and 109 written"), "expected free space on the disk"),
        (SafetensorError("I/O error: File too large (os error 27)"), "space for a file of this"),
        (RuntimeError("Can't decrement (errno = 28, error message = 'No'"), "free space"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: expected permission"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "file system that can be written"),
        (OSError(errno.ENOLCK, "No locks", "x"), "x: expected a file system with locks, got"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "x"), "x: expected a folder"),
        (MemoryError(), "expected enough memory for a batch, got none left"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB"), "CUDA out of memory"),
        (SystemError("error return without exception set"), "expected enough memory for a batch"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "expected enough memory"),
        (RuntimeError("can't start new thread"), "expected to start a thread"),
        (RuntimeError("unable to open <a> in mode: Too many open files (24)"), "open another"),
        (RuntimeError("put_ does not have a deterministic implementation, but"), "got put_; leave"),
        (ModuleNotFoundError("No module named 'timm.x'", name="timm.x"), "package timm: "),
        (ImportError("libGL.so.1: cannot open", name="cv2"), "cv2: expected a package"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_the_machine_refuses(error, line, state):
    fault = fault_of(error, [])
    assert fault.exit_code == 3
    assert line in str(fault)
    assert not state.exists()


def test_real_allocators():
    for call in (lambda: np.empty(2**60, np.uint8), lambda: torch.empty(2**60)):
        assert "expected enough memory" in str(fault_of(raised(call), []))


def test_the_machine_comes_before_what_was_made_of_it():
    def read():
        try:
            raise OSError(errno.EMFILE, "Too many open files", "chunk")
        except OSError:
            raise IntegrityError("x", expected="bytes", got="others", fix="repair") from None

    assert "expected to open another file" in str(fault_of(raised(read), []))
    group = ExceptionGroup("workers", [ValueError("x"), OSError(errno.ENOSPC, "No space")])
    assert is_of_disk(group)
    assert "free space on the disk" in str(fault_of(group, []))


def test_errors_of_the_user_stay():
    error = InputError("x", expected="a", got="b", fix="c")
    assert fault_of(error, []) is error


class TestBug:
    def test_is_saved_for_the_user_alone(self, state, monkeypatch):
        monkeypatch.setenv("A_SECRET", "hush")
        fault = fault_of(raised(lambda: {}["gone"]), ["score", "--gamma", "1"])
        assert fault.exit_code == 1
        (file,) = state.iterdir()
        assert f"got KeyError: 'gone'; report it with {file}" in str(fault)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert {stat.S_IMODE(one.stat().st_mode) for one in (state, state.parent)} == {0o700}
        text = file.read_text()
        assert text.startswith("command: ectool score --gamma 1\n")
        assert "KeyError: 'gone'" in text
        assert "hush" not in text

    def test_names_the_line_of_ours(self, state):
        from ectool.options import format_eps

        fault = fault_of(raised(lambda: format_eps("x")), [])
        assert "(ectool/options.py:" in str(fault)

    def test_is_one_line_where_nothing_can_be_saved(self, monkeypatch):
        for name in ("XDG_STATE_HOME", "HOME"):
            monkeypatch.setenv(name, "/proc/nothing")
        monkeypatch.setattr("tempfile.tempdir", "/proc/nothing")
        error = ValueError("many\nlines")
        assert save_traceback(error, []) is None
        assert "got ValueError: many; report it with what --debug shows" in str(fault_of(error, []))

    def test_ends_the_command_with_one_line(self, state, capsys, monkeypatch):
        monkeypatch.setattr("ectool.stages.tools.doctor.library_versions", lambda: 1 / 0)
        with pytest.raises(SystemExit) as end:
            main(["doctor"])
        captured = capsys.readouterr()
        assert (end.value.code, captured.out) == (1, "")
        assert captured.err.startswith(
            "error: bug in ectool: expected no Python exception, got Zero"
        )
        assert captured.err.count("\n") == 1
        assert len(list(state.iterdir())) == 1


def test_remarks_of_libraries_are_notes_reported_once():
    notes = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with remarks_as(notes.append):
            for _ in range(2):
                warnings.warn("two\n lines", UserWarning, stacklevel=1)
    assert notes == ["note: UserWarning: two lines"]
