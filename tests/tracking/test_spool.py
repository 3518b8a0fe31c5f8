"""The files that are the queue: whatever happens to them, no line is lost, joined or sent twice."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etude.runs.metrics import MetricRecord, MetricsFile, read_metrics, truncate_after
from etude.secrets.redaction import redact, redact_tree, split_credentials
from etude.tracking.points import flatten, points_of
from etude.tracking.spool import DeliveryQueue, MetricsQueue, Spool, repair_tail


def append(path: Path, steps: range) -> None:
    file = MetricsFile(path)
    for step in steps:
        file.append(MetricRecord(step, float(step), {"a": 1.0}))
    file.close()


def test_queue_follows_a_growing_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    queue = MetricsQueue(path)
    assert queue.peek(10) == []
    append(path, range(5))
    assert [item.step for item in queue.peek(3)] == [0, 1, 2]
    assert [item.step for item in queue.peek(3)] == [0, 1, 2]  # not committed
    queue.commit()
    assert queue.pending() == 2
    assert [item.step for item in queue.peek(3)] == [3, 4]
    queue.commit()
    append(path, range(5, 7))
    assert [item.step for item in queue.peek(3)] == [5, 6]


def test_queue_starts_again_on_a_replaced_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, range(10))
    queue = MetricsQueue(path)
    queue.peek(10)
    queue.commit()
    truncate_after(path, 4)
    append(path, range(5, 20))
    assert [item.step for item in queue.peek(100)] == list(range(20))


@given(cut=st.integers(0, 400))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_torn_line_is_neither_read_nor_joined(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "metrics.jsonl"
    path.unlink(missing_ok=True)
    append(path, range(5))
    content = path.read_bytes()
    path.write_bytes(content[: min(cut, len(content))])
    complete = content[: min(cut, len(content))].count(b"\n")
    assert len(MetricsQueue(path).peek(100)) == complete
    repair_tail(path)
    append(path, range(100, 102))
    assert [item.step for item in read_metrics(path)] == [*range(complete), 100, 101]


def test_deliveries_are_remembered_across_processes(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.deliver(tmp_path / "inside.txt", "inside.txt")
    spool.deliver(Path("/elsewhere/model"), "model", step=3, metrics={"eval/success_rate": 0.5})
    queue = DeliveryQueue(spool, "mlflow")
    first = queue.peek()
    assert first is not None
    assert first.path == "inside.txt"
    queue.commit()
    again = DeliveryQueue(spool, "mlflow")
    second = again.peek()
    assert second is not None
    assert (second.path, second.step, second.metrics) == ("/elsewhere/model", 3, {"eval/success_rate": 0.5})
    assert DeliveryQueue(spool, "wandb").pending() == 2  # each tracker for itself


def test_only_one_courier_a_tracker(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with (
        spool.lock("mlflow", 1.0) as first,
        spool.lock("mlflow", 0.2) as second,
        spool.lock("wandb", 0.2) as other,
    ):
        assert (first, second, other) == (True, False, True)
    with spool.lock("mlflow", 1.0) as free:
        assert free


def test_a_point_is_taken_once() -> None:
    records = [MetricRecord(1, 0.0, {"a": 1.0}), MetricRecord(1, 1.0, {"a": 2.0, "b": 3.0})]
    assert [(point.key, point.value) for point in points_of(records)] == [("a", 1.0), ("b", 3.0)]


def test_parameters_are_flat_text() -> None:
    assert flatten({"a": {"b": 1, "c": None}, "d": [1, 2]}) == {"a.b": "1", "d": "[1, 2]"}


def test_credentials_are_taken_out_of_addresses() -> None:
    assert redact("at http://me:pw@host:1/x?sig=abc&y=1") == "at http://***@host:1/x?sig=***&y=1"
    assert redact("postgresql+psycopg2://me:p%40w@h/db") == "postgresql+psycopg2://***@h/db"
    assert redact("me@example.org and https://host/@user") == "me@example.org and https://host/@user"
    assert split_credentials("https://me:p%40w@host/x") == ("https://host/x", "me", "p@w")
    assert split_credentials("http://host/x") == ("http://host/x", None, None)
    assert redact_tree({"policy": {"tokenizer_max_length": 48, "hub_token": "x", "token": "x"}}) == {
        "policy": {"tokenizer_max_length": 48, "hub_token": "***", "token": "***"}
    }
