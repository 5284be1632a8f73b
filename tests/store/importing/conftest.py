from __future__ import annotations

import pytest

from wattmark.store import import_file


@pytest.fixture
def imported(tmp_path):
    """Write a text to a file and import it."""

    def run(text, name="log.csv", **options):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(data)
        return import_file(tmp_path / name, **options)

    return run
