"""The content of embedding.json, of this kshot and of older ones."""

import dataclasses
import json

import pytest

from kshot.nets.backbones.backbone import Input
from kshot.nets.embedding_settings import Base, EmbeddingSettings, content_of, settings_of
from kshot.params.sections.ingest import Ingest

INGEST = Ingest(size=28, channels=1, invert=True, crop="ink")
WHOLE = EmbeddingSettings(
    backbone="test_vit",
    ingest=INGEST,
    features=("blocks.1",),
    input=Input(64, "bicubic"),
    adaptation="lora",
    head_dim=8,
    head_hidden=4,
    l2_normalize=True,
    reduced=3,
    base=Base("weights.safetensors", "0a"),
    method={"name": "metric", "n_way": 5, "k_shot": 1, "arguments": {}},
    loss="triplet",
    batch_norm="support",
    trained_on=("Ελληνικά/άλφα",),
    device="cuda",
)


@pytest.mark.parametrize("settings", [WHOLE, EmbeddingSettings("conv4", INGEST)], ids=["whole", "least"])
def test_settings_are_read_as_they_were_written(settings: EmbeddingSettings) -> None:
    assert settings_of(json.loads(json.dumps(content_of(settings)))) == settings


def test_the_settings_of_an_older_model_are_read() -> None:
    old = {"backbone": "conv4", "head_dim": 5, "l2_normalize": False, "batch_norm": "eval", "adaptation": "head"}
    found = settings_of({**old, "ingest": {"size": 28, "channels": 1, "invert": True}, "unknown": 1})
    assert found == EmbeddingSettings(
        "conv4", dataclasses.replace(INGEST, crop="none"), head_dim=5, adaptation="projection"
    )


def test_what_holds_no_settings_is_no_embedding() -> None:
    for content in ({}, {"backbone": "conv4"}):
        with pytest.raises(KeyError):
            settings_of(content)
