"""A workbook (.xlsx, ECMA-376 part 1, SpreadsheetML) with plain tables: written with the standard library alone.

Texts are inline strings, which no program takes for formulas; numbers are numbers, what is not known is an empty cell.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from wattmark.text import clean

Cell = str | float | int | None
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOC = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_MOST_SIGNS = 32_767
"""Of a cell's text, by the programs that read it."""


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[Cell]]]) -> Path:
    """One sheet for each name (up to 31 signs, none of ``[]:*?/\\``); the first row of each is its head."""
    names = list(sheets)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        kinds = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_KIND}.worksheet+xml"/>'
            for n in range(1, len(names) + 1)
        )
        file.writestr(
            "[Content_Types].xml",
            f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/>{kinds}</Types>',
        )
        file.writestr(
            "_rels/.rels",
            f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
            f'Type="{_DOC}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        listed = "".join(
            f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(names, 1)
        )
        file.writestr(
            "xl/workbook.xml",
            f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_DOC}"><sheets>{listed}</sheets></workbook>',
        )
        related = "".join(
            f'<Relationship Id="rId{n}" Type="{_DOC}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(names) + 1)
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{related}'
            f'<Relationship Id="rId{len(names) + 1}" Type="{_DOC}/styles" Target="styles.xml"/></Relationships>',
        )
        file.writestr(
            "xl/styles.xml",
            f'{_HEAD}<styleSheet xmlns="{_MAIN}"><fonts count="2"><font/><font><b/></font></fonts>'
            '<fills count="2"><fill><patternFill patternType="none"/></fill><fill>'
            '<patternFill patternType="gray125"/></fill></fills>'
            '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
            '<cellXfs count="2"><xf/><xf fontId="1" applyFont="1"/></cellXfs></styleSheet>',
        )
        for n, rows in enumerate(sheets.values(), 1):
            body = "".join(_row(number, row, head=number == 1) for number, row in enumerate(rows, 1))
            file.writestr(
                f"xl/worksheets/sheet{n}.xml",
                f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>',
            )
    return path


def _row(number: int, cells: Sequence[Cell], *, head: bool) -> str:
    style = ' s="1"' if head else ""
    return f'<row r="{number}">' + "".join(_cell(cell, style) for cell in cells) + "</row>"


def _cell(value: Cell, style: str) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return f"<c{style}/>"
    if isinstance(value, str):
        text = escape(clean(value)[:_MOST_SIGNS])
        return f'<c t="inlineStr"{style}><is><t xml:space="preserve">{text}</t></is></c>'
    return f"<c{style}><v>{value!r}</v></c>"
