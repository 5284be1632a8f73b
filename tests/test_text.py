from __future__ import annotations

import pytest

from wattmark.text import inert


@pytest.mark.parametrize(
    "text", ["=1+1", "+SUM(A1)", "-2+3", "@cmd", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "＝1", "-", "+"]
)
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text):
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["-1.5", "+2e-3", "-.5", "plain", "a=b", "", -1.5, None, True, 7])
def test_numbers_and_other_texts_stay_as_they_are(cell):
    assert inert(cell) is cell
