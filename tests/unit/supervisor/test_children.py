"""Restarts and forks."""

import os
import signal
import socket
import sys

from gateway.supervisor.children import SUPERVISED_SIGNALS, Backoff, Child, fork


def test_the_first_quick_deaths_cost_nothing_then_the_wait_doubles() -> None:
    backoff = Backoff()
    delays = [backoff.delay_s(lived_s=0.1) for _ in range(9)]
    assert delays == [0, 0, 0.5, 1, 2, 4, 8, 10, 10]


def test_a_child_that_lived_starts_with_a_clean_sheet() -> None:
    backoff = Backoff()
    for _ in range(6):
        backoff.delay_s(1.0)
    assert backoff.delay_s(5.0) == 0
    assert backoff.delay_s(1.0) == 0


def test_a_very_long_crash_loop_does_not_overflow() -> None:
    assert Backoff(quick_deaths=10_000).delay_s(0) == 10


def test_a_child_that_is_gone_takes_no_messages() -> None:
    child = Child("worker 0", 0)
    child.send({"type": "exit"})
    child.kill()
    assert child.ended(now=100.0) == 0


def run_in_child(action: str) -> int:
    """Fork a child that does one thing and says 0 if it went as it should."""

    def main() -> int:
        match action:
            case "signals":
                ignored = all(signal.getsignal(s) == signal.SIG_IGN for s in SUPERVISED_SIGNALS)
                unblocked = not signal.pthread_sigmask(signal.SIG_BLOCK, [])
                return 0 if ignored and unblocked else 1
            case "raise":
                raise RuntimeError("as planned")
            case "exit":
                sys.exit(5)
        return 7

    pid = fork(main, release=lambda: None)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_ignores_what_operators_send_and_blocks_nothing() -> None:
    assert run_in_child("signals") == 0


def test_an_error_ends_the_child_and_not_its_copy_of_the_caller() -> None:
    assert run_in_child("raise") == 1
    assert run_in_child("exit") == 1
    assert run_in_child("number") == 7


def test_release_runs_in_the_child_only() -> None:
    left, right = socket.socketpair()
    pid = fork(lambda: int(left.fileno() == -1) + 1, release=left.close)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    right.sendall(b"x")
    assert left.recv(1) == b"x"
    left.close()
    right.close()


def test_a_child_dies_with_its_parent() -> None:
    reading, writing = os.pipe()

    def parent() -> int:
        def child() -> int:
            os.close(reading)
            signal.pause()
            return 0

        pid = fork(child, release=lambda: None)
        os.write(writing, str(pid).encode())
        signal.pause()
        return 0

    middle = fork(parent, release=lambda: None)
    assert int(os.read(reading, 20)) > 0
    os.close(writing)  # ours; the grandchild holds the last one
    os.kill(middle, signal.SIGKILL)
    os.waitpid(middle, 0)
    assert os.read(reading, 1) == b"", "the end of the pipe: nobody lives who could write"
    os.close(reading)
