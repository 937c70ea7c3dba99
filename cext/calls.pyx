"""One call of the script at a time, with all that waits. What comes meanwhile goes with the next one."""

import asyncio
from time import monotonic

import hiredis
from redis.exceptions import RedisError

from gateway.cext.conversation import READ


cdef class Calls:
    def __init__(self, make_lane, bytes script, str nonce, double wait_s, failed):
        """`make_lane` makes the lane from what it calls when something waits.

        `script`: the command that loads it. `nonce`: a text that nobody else has. An answer later than
        `wait_s` is lost. `failed` is called with the error when a call has failed, or is late; it calls
        `end`.
        """
        self.lane = make_lane(self.wake)
        self.script = script
        self.nonce = nonce
        self.wait_s = wait_s
        self.failed = failed
        self.answered_bound = self.answered
        self.send_bound = self.send

    @property
    def is_idle(self):
        """Whether nothing waits, and nothing is under way."""
        return self.asked is None and not self.lane.waits

    def begin(self, Conversation link, bytes sha) -> None:
        """The node is there: the script is loaded, and called by `sha`."""
        self.link = link
        self.sha = sha
        self.send()

    def end(self) -> None:
        """The node is away: whoever waits, or comes, decides alone."""
        cdef Batch batch = self.asked
        if batch is not None:
            self.count()
            self.failures += 1
        self.link = self.asked = None
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None
        while batch is not None or (batch := self.lane.take()) is not None:
            batch.give_up()
            batch = None

    def wake(self) -> None:
        """Something waits: it is sent at the end of this loop turn, with what comes until then."""
        asyncio.get_running_loop().call_soon(self.send_bound)

    def send(self) -> None:
        """The batch that waits for longest.

        One that has waited too long is not sent any more: Redis is slower than questions come.
        """
        cdef Batch batch
        cdef double now
        while self.asked is None and self.link is not None:
            batch = self.lane.take()
            if batch is None:
                return
            now = monotonic()
            if now < batch.born + self.wait_s:
                self.retried = False
                self.call(batch, now, batch.born + self.wait_s)
            else:
                self.failures += 1
                batch.give_up()

    cdef call(self, Batch batch, double now, double due):
        self.made += 1
        self.asked, self.began, self.due = batch, now, due
        if self.patience is None:
            # Not one for each call: it looks again when it is over.
            self.patience = asyncio.get_running_loop().call_later(due - now, self.look)
        self.link.send(batch.command(self.sha, f"{self.nonce}:{self.made}"), self.answered_bound, batch)

    def look(self) -> None:
        """Whether the call that is under way has been for too long: then who is told ends it."""
        cdef double left_s = self.due - monotonic()
        self.patience = None
        if self.asked is None:
            return
        if left_s > 0:
            self.patience = asyncio.get_running_loop().call_later(left_s, self.look)
            return
        self.failed(TimeoutError("it did not answer in time"))

    def answered(self, answer) -> None:
        cdef Batch batch = self.asked
        cdef double now
        self.asked = None
        if batch is None:
            return
        self.count()
        if self.link is not None and is_unknown_script(answer) and not self.retried:
            self.retried = True
            self.link.send(self.script, ignore)
            now = monotonic()
            self.call(batch, now, now + self.wait_s)
            return
        try:
            if answer is READ:
                batch.settle()
            elif isinstance(answer, list):
                batch.settle(answer)
            else:
                # Of a cluster: MOVED, another node has our keys now. Connecting anew finds it.
                raise RedisError(str(answer or "the connection is lost"))
        except (RedisError, ValueError) as error:
            batch.give_up()
            self.failures += 1
            self.failed(error)
        else:
            if self.lane.waits:
                self.wake()  # who comes in the same turn goes along

    cdef count(self):
        self.seconds += monotonic() - self.began


def ignore(answer) -> None:
    """The next answer shows whether it worked."""


cdef bint is_unknown_script(answer):
    """Redis was restarted, or its scripts were flushed."""
    return isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT")
