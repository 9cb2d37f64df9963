"""Ray's private names, while there are any, and without them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import ray

from distmarl.sweep.executors import ray_private
from distmarl.sweep.executors.ray_notes import Notes, noted


class Kept:
    """A store of Ray's kind, in this process."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def _internal_kv_put(self, key: str, text: str, namespace: bytes) -> None:
        assert namespace == b"distmarl"
        self.texts[key] = text

    def _internal_kv_get(self, key: str, namespace: bytes) -> bytes | None:  # noqa: ARG002
        return self.texts[key].encode() if key in self.texts else None

    def _internal_kv_list(self, prefix: str, namespace: bytes) -> list[bytes]:  # noqa: ARG002
        return [key.encode() for key in self.texts if key.startswith(prefix)]

    def _internal_kv_del(self, key: str, *, del_by_prefix: bool = False, namespace: bytes) -> None:  # noqa: ARG002
        for name in [name for name in self.texts if name == key or (del_by_prefix and name.startswith(key))]:
            del self.texts[name]


def test_a_note_is_there_while_its_batch_runs_and_after_it_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    monkeypatch.setattr(ray_private, "_store", lambda: kept)
    notes = Notes()
    assert notes.are_kept
    with noted(notes.name(3), 1, "node"):
        assert notes.started() == {3: 1}
    assert not kept.texts
    with pytest.raises(SystemExit), noted(notes.name(4), None, "node"):
        raise SystemExit
    assert notes.started() == {4: 0}
    notes.clear()
    assert not kept.texts


class Changed(Kept):
    """A store whose names have other arguments now."""

    def _internal_kv_list(self, prefix: str) -> list[bytes]:  # type: ignore[override]
        return super()._internal_kv_list(prefix, b"distmarl")


@pytest.mark.parametrize("store", [object, Changed])
def test_where_no_notes_are_kept_nothing_is_known_of_a_batch(monkeypatch: pytest.MonkeyPatch, store: type[Any]) -> None:
    monkeypatch.setattr(ray_private, "_store", store)
    notes = Notes()
    assert not notes.are_kept
    with noted(notes.name(3), 0, "node"):
        assert notes.started() == {}
    assert notes.place(3) == (None, None)
    assert notes.ask_for_process(3) is None
    notes.clear()


def test_what_ray_does_not_tell_is_told_with_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    tells = SimpleNamespace(get_current_task_attempt_number=lambda: 2)
    monkeypatch.setattr(ray._private.worker.global_worker, "core_worker", tells, raising=False)
    assert ray_private.attempt() == 2
    assert ray_private.shortcomings(notes_are_kept=True) is None
    monkeypatch.setattr(ray._private.worker.global_worker, "core_worker", object())
    assert ray_private.attempt() is None
    attempts = f"Ray {ray.__version__} does not tell how often a task was tried, so that attempt is null in the table "
    assert ray_private.shortcomings(notes_are_kept=True) == f"{attempts}timings"
    both = ray_private.shortcomings(notes_are_kept=False) or ""
    assert "does not tell which tasks run, so that" in both
    assert "; nor how often a task was tried" in both
