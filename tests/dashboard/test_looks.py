"""One look serves every stream that asks for the same."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from fakes.dashboard import api
from wattmark.dashboard.looks import Looks
from wattmark.store import open_store


def test_five_hundred_streams_take_one_look_and_two_threads() -> None:
    taken: list[str] = []
    threads: set[int] = set()

    def look() -> tuple[str, dict[str, Any]]:
        taken.append("look")
        threads.add(threading.get_ident())
        return "runs", {"n": len(taken)}

    async def main() -> list[tuple[str, str]]:
        looks = Looks()
        same = [looks.tell("", look) for _ in range(500)]
        other = [looks.tell(f"run{number}", look) for number in range(20)]
        return await asyncio.gather(*same, *other)

    told = asyncio.run(main())
    assert len(set(told[:500])) == 1
    assert len(taken) == 21
    assert len(threads) <= 2


def test_more_streams_than_a_page_can_want_are_refused_in_words(tmp_path) -> None:
    with open_store(str(tmp_path / "store.db")) as store:
        client = api(store)
        context = client.app.state.context
        context.looks.streams = 10_000
        answer = client.get("/api/v1/events")
        assert answer.status_code == 503
        assert "event streams are open" in answer.json()["message"]
        context.looks.streams = 0
        context.ending.set()
        assert client.get("/api/v1/events").status_code == 200
        assert context.looks.streams == 0
