"""What a run may spend: shares of rates that never add up to more than all, and money within its limit."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wrapgen.errors import RunError
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.run.ledger.replay import rebuild
from wrapgen.run.scheduling.grants import EXECUTED, Grants, SpendingLimits, Spent
from wrapgen.run.scheduling.replies import LossKind
from wrapgen.run.summary import EndState


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.none(), st.integers(1, 6000)),
    st.one_of(st.none(), st.integers(1, 1_000_000)),
    st.integers(1, 12),
    st.data(),
)
def test_rates_hold_over_any_number_of_calls(rpm, tpm, workers, data):
    """Whatever calls spend, by the end of any minute no more was spent than the rates allow for the time."""
    grants = Grants(SpendingLimits(rpm=rpm, tpm=tpm))
    now, seq, open_calls, made, tokens = 0.0, 0, {}, 0.0, 0.0
    ready = 0.0
    for _ in range(60):
        wait = grants.wait(now)
        if wait is None and len(open_calls) < workers and data.draw(st.booleans()):
            grant = grants.grant(seq, 10, workers - len(open_calls), now)
            assert (grant.rpm is None, grant.tpm is None) == (rpm is None, tpm is None)
            open_calls[seq] = (now, grant)
            seq += 1
        elif open_calls:
            one = data.draw(st.sampled_from(sorted(open_calls)))
            now += data.draw(st.floats(0.01, 30))
            began, grant = open_calls.pop(one)
            # The wrapper keeps to its rate, but for the burst of a request as it begins.
            requests = 1 + int((grant.rpm or 0) * (now - began) / 60)
            used = int((grant.tpm or 0) * (now - began) / 60)
            made, tokens = made + requests, tokens + used
            grants.back(one, Spent(requests, used), now)
            ready = max(ready, began + 60 * requests / grant.rpm if grant.rpm else 0.0)
        elif wait is not None:
            assert now < wait < math.inf, "no call is open: a moment is known"
            now = wait
        shares = sum(grant.rpm or 0 for _, grant in open_calls.values())
        assert rpm is None or shares <= rpm * (1 + 1e-6)
        assert tpm is None or sum(grant.tpm or 0 for _, grant in open_calls.values()) <= tpm * (1 + 1e-6)
    assert rpm is None or made <= rpm * max(ready, now) / 60 + 1e-6


@settings(max_examples=60, deadline=None)
@given(st.floats(0.001, 1), st.integers(1, 40), st.integers(1, 9), st.data())
def test_money_is_never_exceeded(each, affordable, workers, data):
    """However calls end, what was spent and what open calls may spend stay within the limit."""
    most = each * affordable
    grants = Grants(SpendingLimits(max_cost=most, each=each))
    open_calls, spent = {}, 0.0
    for seq in range(200):
        if grants.wait(0.0) is None and len(open_calls) < workers:
            open_calls[seq] = grants.grant(seq, data.draw(st.integers(1, 50)), workers - len(open_calls), 0.0)
            assert open_calls[seq].cost >= each * (1 - 1e-6), "less than an item may cost is no use"
        elif not open_calls:
            break
        else:
            one = data.draw(st.sampled_from(sorted(open_calls)))
            granted = open_calls.pop(one).cost
            if fault := data.draw(st.sampled_from([None, *LossKind])):
                grants.lost(one, fault, 3, 0.0)
                spent += granted if fault in EXECUTED else 0.0
            else:
                cost = data.draw(st.sampled_from([0.0, granted / 2, granted, None]))
                grants.back(one, Spent(1, 1, cost), 0.0)
                spent += granted if cost is None else cost
        assert spent + sum(grant.cost for grant in open_calls.values()) <= most * (1 + 1e-6)
    assert grants.spent == pytest.approx(spent)


def paid(memory_wrapper, *, each=0.01, price=0.004, **options):
    """A wrapper whose items cost money; its calls keep to the money that they are given."""
    wrapper = memory_wrapper(**options)
    describe, batch = wrapper.describe, wrapper.batch
    wrapper.describe = lambda: {**describe(), "price": {"input": 1, "output": 1}, "max_cost_item": each}
    wrapper.granted = []

    def limited(asked):
        money = asked["$rate"]["cost"]
        wrapper.granted.append(money)
        wrapper.room = min(len(asked["$batch"]), int((money - each + 1e-9) / price) + 1)
        reply = json.loads(batch(asked))
        summary = reply["result"]["$summary"]
        summary["cost"] = wrapper.room * price
        if wrapper.room < len(asked["$batch"]):
            summary["stopped"] = {"type": "BudgetExceeded", "message": "the money of this call is spent"}
        return json.dumps(reply).encode()

    wrapper.batch = limited
    return wrapper


def spent(bench):
    """What the ledger says that a run spent."""
    return rebuild(Folder(folder_for(bench.output)), None).cost


def test_max_cost_stops_a_run_before_it_would_go_over(bench, memory_wrapper):
    """400 items cost 1.60: with 1.00 a run stops below that, and goes on with more, paying nothing twice."""
    values = [{"n": number} for number in range(400)]
    summary = bench.run(paid(memory_wrapper), values, max_cost=1.0)
    assert summary.state is EndState.INCOMPLETE
    assert "of the 1 that the run may cost, " in summary.reason
    assert 0.98 <= spent(bench) <= 1.0
    assert summary.counts.succeeded == round(spent(bench) / 0.004)
    again = bench.run(paid(memory_wrapper), values, max_cost=2.0)
    assert again.state is EndState.OK
    assert spent(bench) == pytest.approx(1.6)


def test_a_lost_call_counts_with_what_it_might_have_spent(bench, memory_wrapper):
    """An answer that never came may have been paid for: the run takes it as if it had been, also later."""
    wrapper = paid(memory_wrapper, calls_fail={1: b"cut off"})
    values = [{"n": number} for number in range(40)]
    summary = bench.run(wrapper, values, max_cost=0.5, workers=1)
    charged = spent(bench) - summary.counts.succeeded * 0.004
    sends = [entry for entry in bench.ledger() if entry["e"] == "send"]
    assert charged == pytest.approx(sends[0]["cost"])


def test_without_a_known_cost_max_cost_is_refused(bench, memory_wrapper):
    """A limit that could not be held is an error that says what the spec needs."""
    with pytest.raises(RunError, match="what an item may cost at most") as raised:
        bench.run(memory_wrapper(), [1], max_cost=1.0)
    assert "target.price" in raised.value.hint


def test_a_call_is_told_its_share_of_the_rates(bench, memory_wrapper):
    """Every call of a run with rates has a share, and open ones together no more than all of it."""
    wrapper = memory_wrapper()
    describe = wrapper.describe
    wrapper.describe = lambda: {**describe(), "dispatch": {"parallel": 8, "rpm": 6000, "tpm": None}}
    assert bench.run(wrapper, list(range(300))).state is EndState.OK
    assert all(0 < call["$rate"]["rpm"] <= 6000 and set(call["$rate"]) == {"rpm"} for call in wrapper.calls)
    assert sum(bench.calls.waited) > 60 * 300 / 6000 - 3


def test_what_is_used_up_of_a_rate_holds_back_what_comes_after():
    """A part of a run that ends hands on what it has used up, also to a larger or smaller part."""
    whole = SpendingLimits(rpm=120)
    first = Grants(whole.divided(0.5))
    first.grant(0, 60, 1, 0.0)
    first.back(0, Spent(requests=60), 0.0)  # a minute of its half
    assert Grants(whole.divided(0.5)).wait(1.0) == 60.0
    assert Grants(whole.divided(0.25)).wait(1.0) == 60.0
    assert Grants(whole).wait(1.0) is None  # the other half is free
    assert Grants(whole).grant(0, 60, 1, 1.0).rpm == pytest.approx(60)
    assert Grants(SpendingLimits(rpm=120).divided(0.5)).wait(1.0) is None
