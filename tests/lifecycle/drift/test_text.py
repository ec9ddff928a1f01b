"""The text of `kshot drift`."""

from kshot.lifecycle.drift.text import against
from kshot.lifecycle.drift.verdict import Verdict


def test_the_limits_are_told_by_what_they_were_set_on_and_how_often_they_would_be_wrong() -> None:
    found = Verdict(
        version="2",
        data_version="4cfbd930" * 4,
        source="new",
        when="2026-11-29",
        images=60,
        looked_at=60,
        classes=12,
        trained_classes=28,
        held_out_classes=40,
        rows=(),
        false_alarms=0.01,
        notes=(),
        shown=((), ()),
    )
    assert against(found) == (
        "60 images of 12 classes, against champion 2, trained on 28 classes of data version 4cfbd930;\n"
        "limits set on 40 held-out classes: 1 in 100 normal samples would raise an alarm"
    )
