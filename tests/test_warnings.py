"""Warnings of fitwatch: the line they name; they are never raised."""

import sys
import warnings

import pytest

from fitwatch._warn import warn


def test_a_warning_names_the_line_that_is_no_library_s():
    with pytest.warns(UserWarning, match="look") as seen:
        warn("look")
    assert seen[0].filename == __file__


def test_where_warnings_are_errors_it_is_told_on_stderr(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn("look")
    assert capsys.readouterr().err == "UserWarning: look\n"


def test_nor_is_anything_raised_where_stderr_is_closed(monkeypatch, tmp_path):
    with open(tmp_path / "closed", "w") as closed:
        pass
    monkeypatch.setattr(sys, "stderr", closed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn("look")


def test_nor_by_a_tool_that_shows_warnings(monkeypatch, capsys):
    def fails(*args, **kwargs):
        raise RuntimeError

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", fails)
        warn("look")
    assert "look" in capsys.readouterr().err
