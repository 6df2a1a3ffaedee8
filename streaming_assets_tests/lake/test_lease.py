"""The lease: one holder at a time, who is followed when dead, and stops when it was lost."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streaming_assets.lake import lease as lease_module
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.lease import Lease, LeaseLost
from streaming_assets.lake.store import LakeError

NAME = "leases/p.site.json"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderLake:
    monkeypatch.setattr(lease_module, "SKEW_SECONDS", 0.0)
    return FolderLake(tmp_path)


def take_away(lake: FolderLake) -> None:
    """As by one whose clock runs far ahead."""
    lake.write(NAME, json.dumps({"holder": "thief", "token": "t", "until": time.time() + 60}).encode())


def test_who_comes_second_is_told_who_holds_it_and_until_when(lake: FolderLake) -> None:
    first, second = Lease(lake, NAME), Lease(lake, NAME)
    assert first.take() is None
    with first.kept():
        assert f"{NAME} ends in 60 s" in (second.take() or "")
        assert (second.take() or "").startswith("process ")
    assert second.take() is None
    assert not second.inherited, "it was given back"


def test_of_many_at_once_one_holds_it(lake: FolderLake) -> None:
    inside, most, turns = 0, 0, 0

    def work(_: int) -> None:
        nonlocal inside, most, turns
        lease = Lease(lake, NAME)
        while lease.take():
            time.sleep(0.001)
        with lease.kept():
            inside += 1
            most = max(most, inside)
            time.sleep(0.002)
            turns += 1
            inside -= 1

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(24)))
    assert (most, turns) == (1, 24)
    assert list(lake.list("leases/")) == []


def test_a_dead_holder_is_followed_once_its_time_is_over(lake: FolderLake) -> None:
    dead, heir = Lease(lake, NAME, seconds=0.2), Lease(lake, NAME)
    assert dead.take() is None
    assert heir.take()
    time.sleep(0.25)
    assert heir.take() is None
    assert heir.inherited


def test_clocks_that_differ_give_nobody_a_lease_that_is_held(
    lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "SKEW_SECONDS", 15.0)
    assert Lease(lake, NAME, seconds=0.01).take() is None
    time.sleep(0.02)
    assert Lease(lake, NAME).take(), "another's clock may be that much behind"


def test_a_lease_is_renewed_for_as_long_as_it_is_kept(lake: FolderLake) -> None:
    lease, other = Lease(lake, NAME, seconds=0.2), Lease(lake, NAME)
    assert lease.take() is None
    with lease.kept():
        for _ in range(10):
            time.sleep(0.06)
            assert other.take()
            lease.check()


def test_one_that_is_lost_interrupts_its_holder_and_is_left_to_the_other(lake: FolderLake) -> None:
    lease = Lease(lake, NAME, seconds=0.2)
    assert lease.take() is None

    def work() -> None:
        with lease.kept():
            take_away(lake)
            time.sleep(10)
            pytest.fail("it was not interrupted")

    with pytest.raises(LeaseLost, match=rf"{NAME} was lost: .* Nothing more is written"):
        work()
    assert b"thief" in lake.read(NAME)


def test_one_that_can_not_be_renewed_is_lost_when_its_time_is_over(
    lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(lake, NAME, seconds=0.3)
    assert lease.take() is None

    def fails(*_: object) -> bool:
        raise LakeError("no network")

    def work() -> None:
        with lease.kept():
            monkeypatch.setattr(lake, "replace", fails)
            time.sleep(10)

    begun = time.monotonic()
    with pytest.raises(LeaseLost):
        work()
    assert 0.25 <= time.monotonic() - begun < 5, "a beat that fails is no loss, the end of its time is"


def test_outside_of_the_main_thread_a_check_tells(lake: FolderLake) -> None:
    told: list[str] = []

    def work() -> None:
        lease = Lease(lake, NAME, seconds=0.1)
        assert lease.take() is None
        try:
            with lease.kept():
                take_away(lake)
                time.sleep(0.15)
                lease.check()
        except LeaseLost as error:
            told.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(told) == 1


def test_an_error_of_the_block_stays_what_it_is(lake: FolderLake) -> None:
    lease = Lease(lake, NAME)
    assert lease.take() is None
    with pytest.raises(ZeroDivisionError), lease.kept():
        raise ZeroDivisionError
    assert Lease(lake, NAME).take() is None


def test_a_write_whose_answer_did_not_arrive_counts(
    lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client repeats it then, and the repetition is refused."""
    there = lake.write_if_absent

    def refused_at_last(name: str, data: bytes) -> bool:
        there(name, data)
        return False

    monkeypatch.setattr(lake, "write_if_absent", refused_at_last)
    assert Lease(lake, NAME).take() is None


def test_what_is_no_lease_is_named(lake: FolderLake) -> None:
    lake.write(NAME, b"[]")
    with pytest.raises(LakeError, match=rf"{NAME} is no lease: remove it"):
        Lease(lake, NAME).take()
