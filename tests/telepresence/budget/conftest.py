import pytest

from esca.telepresence.budget.plan import Plan, Work


@pytest.fixture(scope="session")
def still() -> Plan:
    """A plan in which nothing is random but the phases, each stage on a device of its own."""
    return Plan(
        encoder=Work("encoder", 3.0, 1.5),
        decoder=Work("decoder", 4.0, 2.5),
        warp=Work("warp", 0.5),
        rasterizer=Work("gpu", 2.0),
        compositor=Work("compositor", 1.0),
        capture_hertz=100.0,
        refresh_hertz=100.0,
        camera_ms=5.0,
        display_ms=3.0,
        network_ms=20.0,
        jitter_ms=0.0,
        playout_ms=0.0,
        loss=0.0,
        avatars=1,
        gaze="none",
        tracker=Work("eyes", 2.0),
        gaze_hertz=90.0,
        tolerated_ms=50.0,
        raster_share=0.4,
        aside=0.25,
        sources={},
    )
