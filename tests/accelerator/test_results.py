import json

import pytest

from esca.accelerator import (
    FrameTiming,
    avatar_workload,
    chrome_trace,
    config_hash,
    frame_data,
    frame_text,
    load_config,
    time_workload,
)

FIGURES = {
    "cycles",
    "latency_ms",
    "useful_utilization",
    "occupied_utilization",
    "dram_bytes",
}


@pytest.fixture(scope="module")
def frame() -> FrameTiming:
    return time_workload(avatar_workload("warp", 512, "decoder", "w4a4"), load_config("esca-16x16"))


def test_frames_and_layers_have_the_same_figures(frame: FrameTiming) -> None:
    data = json.loads(json.dumps(frame_data(frame)))
    assert data.keys() >= FIGURES
    assert all(layer.keys() >= FIGURES for layer in data["layers"])
    assert sum(layer["dram_bytes"] for layer in data["layers"]) == data["dram_bytes"]
    assert data["config_sha256"] == config_hash(load_config("esca-16x16"))
    assert data["latency_ms"] == pytest.approx(data["cycles"] / 500e3)
    on_array = [layer for layer in data["layers"] if layer["engine"] == "array"]
    busy = sum(layer["useful_utilization"] * layer["cycles"] for layer in on_array)
    assert busy / data["cycles"] == pytest.approx(data["useful_utilization"])


def test_the_trace_has_one_row_an_engine(frame: FrameTiming) -> None:
    events = chrome_trace(frame)["traceEvents"]
    rows = {event["args"]["name"]: event["tid"] for event in events if event["ph"] == "M"}
    assert len(set(rows.values())) == len(rows) >= 6
    spans = [event for event in events if event["ph"] == "X"]
    assert len(spans) == len(frame.timeline)
    assert max(e["ts"] + e["dur"] for e in spans) <= frame.latency_ms * 1e3
    said = {event["args"].get("mode") for event in spans if event["tid"] == rows["array"]}
    assert said == {layer.mode for layer in frame.layers if layer.engine == "array"}


def test_the_table_names_every_layer(frame: FrameTiming) -> None:
    text = frame_text(frame)
    assert all(
        layer.name[-25:] in text if len(layer.name) > 43 else layer.name in text
        for layer in frame.layers
    )
    rows = text.splitlines()
    assert max(map(len, rows)) < 150
    assert f"{frame.cycles:,} cycles" in text
