from tests.torture.nemesis import ON_SERVER, Fault, plan


def test_a_seed_is_a_plan() -> None:
    once, again, other = (plan(seed=seed, seconds=60, lease_duration_s=5) for seed in (7, 7, 8))
    assert once == again
    assert once != other


def test_a_longer_run_begins_with_the_shorter_one() -> None:
    short, long = (plan(seed=7, seconds=seconds, lease_duration_s=5) for seconds in (60, 600))
    assert long[: len(short)] == short
    assert len(long) > len(short)


def test_a_deck_leaves_no_fault_out() -> None:
    for seed in range(20):
        assert {action.fault for action in plan(seed=seed, seconds=16 * 2.5 * 1.5, lease_duration_s=5)} == set(Fault)


def test_the_api_server_is_away_for_less_than_a_term() -> None:
    actions = plan(seed=7, seconds=3600, lease_duration_s=5)
    assert max(action.for_s for action in actions if action.fault in ON_SERVER) <= 2.5
    assert max(action.for_s for action in actions) <= 9.0
