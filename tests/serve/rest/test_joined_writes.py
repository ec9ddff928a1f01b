"""What is written in one turn of the event loop is sent in one piece, in its order, and nothing is lost at a close."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from kshot.serve.rest.joined_writes import MOST_BYTES, JoinedWrites


class Sent:
    """A transport that notes each piece and its end."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.lost = False

    def is_closing(self) -> bool:
        return self.lost

    def write(self, data: bytes) -> None:
        assert not self.lost
        self.pieces.append(data)

    def close(self) -> None:
        self.pieces.append(b"closed")

    def get_extra_info(self, name: str) -> str:
        return f"{name} of the socket"


def pieces(*turns: Callable[[JoinedWrites], object]) -> list[bytes]:
    """What is sent by functions of which each is called in a turn of its own."""
    sent = Sent()

    async def run() -> None:
        joined = JoinedWrites(cast(Any, sent), asyncio.get_running_loop())
        for turn in turns:
            turn(joined)
            await asyncio.sleep(0)

    asyncio.run(run())
    return sent.pieces


def test_headers_and_body_are_sent_in_one_piece() -> None:
    assert pieces(lambda to: (to.write(b"head "), to.write(b"body")), lambda to: to.write(b"next")) == [
        b"head body",
        b"next",
    ]


def test_what_was_written_before_a_close_is_sent() -> None:
    assert pieces(lambda to: (to.write(b"head "), to.write(b"body"), to.close())) == [b"head body", b"closed"]


def test_nothing_is_sent_to_a_client_that_has_gone_since() -> None:
    assert pieces(lambda to: (to.write(b"head "), setattr(to._transport, "lost", True))) == []


def test_much_is_sent_at_once_so_that_the_transport_can_ask_for_a_pause() -> None:
    large = bytes(MOST_BYTES)
    assert pieces(lambda to: (to.write(b"head "), to.write(large), to.write(b"end"))) == [b"head " + large, b"end"]


def test_all_else_is_that_of_the_transport() -> None:
    found: list[str] = []
    pieces(lambda to: found.append(to.get_extra_info("peername")))
    assert found == ["peername of the socket"]
