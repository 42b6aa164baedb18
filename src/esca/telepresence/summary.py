"""What a call came to, in one object."""

from itertools import pairwise
from typing import Any

from esca.telepresence.display import Shown
from esca.telepresence.loopback import Outcome
from esca.telepresence.sender import Sent
from esca.telepresence.statistics import percentiles


def sending_data(sent: Sent) -> dict[str, Any]:
    """The sender's share: ``sent bitrate_kbps packet_bytes source_ms code_ms`` and counts."""
    seconds = sent.seconds or 1.0
    return {
        "sent": sent.packets,
        "bitrate_kbps": round(sent.bytes * 8 / seconds / 1e3, 2),
        "packet_bytes": {
            "mean": round(sent.bytes / sent.packets, 1) if sent.packets else None,
            "largest": sent.largest,
        },
        "source_ms": percentiles(sent.source_ms),
        "code_ms": percentiles(sent.code_ms),
        "sender": {
            "seconds": round(sent.seconds, 3),
            "skipped": sent.skipped,
            "unsent": sent.unsent,
            "knocks": sent.knocks,
            "sessions": sent.sessions,
            "rejected": sent.rejected,
            "cpu_share": round(sent.cpu_seconds / seconds, 3),
        },
    }


def receiving_data(shown: Shown, one_clock: bool) -> dict[str, Any]:
    """One receiver's share: rates, percentiles, counts.

    ``latency_ms`` is from the time stamp of the captured frame to the sink. Without ``one_clock``
    it is relative: to the least that was seen, since the clocks' difference is not known.
    """
    base = 0.0 if one_clock else min(shown.latency_ms, default=0.0)
    span = shown.at[-1] - shown.at[0] if len(shown.at) > 1 else 0.0
    seconds = shown.seconds or 1.0
    counts = {name: shown.counts.get(name, 0) for name in _COUNTS}
    return {
        "rate_hz": round((len(shown.at) - 1) / span, 2) if span else 0.0,
        "latency_ms": percentiles(value - base for value in shown.latency_ms),
        "frame_time_ms": percentiles((b - a) * 1e3 for a, b in pairwise(shown.at)),
        "received": counts["media"],
        "concealed": counts["concealed"],
        "rejected": sum(shown.rejected.values()),
        "rejected_by": shown.rejected,
        "drops": {name: counts[name] for name in _DROPS},
        "decode_ms": percentiles(shown.decode_ms),
        "render_ms": percentiles(shown.render_ms),
        "playout_delay_ms": round(shown.delay_ms, 2),
        "feedback_kbps": round(shown.feedback_bytes * 8 / seconds / 1e3, 2),
        "counts": counts,
        "receiver_cpu_share": round(shown.cpu_seconds / seconds, 3),
    }


def call_data(outcome: Outcome) -> dict[str, Any]:
    """A whole call; several lives of the receiver are joined.

    ``rate_hz`` then spans the outage too; ``restart`` says how long nothing was shown and how much
    of that passed after the new receiver was ready.
    """
    lives = outcome.shown
    data = sending_data(outcome.sent) | receiving_data(joined(lives), one_clock=True)
    if len(lives) > 1:
        before, after = lives[-2], lives[-1]
        first = after.at[0] if after.at else None
        data["restart"] = {
            "outage_ms": _ms(first, before.at[-1] if before.at else None),
            "ready_to_picture_ms": _ms(first, after.ready_at),
        }
    if outcome.network is not None:
        data["network"] = outcome.network
    return data


def joined(lives: tuple[Shown, ...]) -> Shown:
    """Several lives of a receiver as one."""
    if len(lives) == 1:
        return lives[0]
    result = Shown(delay_ms=lives[-1].delay_ms, ready_at=lives[0].ready_at)
    for life in lives:
        for name, value in life.counts.items():
            result.counts[name] = result.counts.get(name, 0) + value
        for name, value in life.rejected.items():
            result.rejected[name] = result.rejected.get(name, 0) + value
        result.latency_ms += life.latency_ms
        result.at += life.at
        result.decode_ms += life.decode_ms
        result.render_ms += life.render_ms
        result.feedback_bytes += life.feedback_bytes
        result.seconds += life.seconds
        result.cpu_seconds += life.cpu_seconds
    return result


def call_text(data: dict[str, Any]) -> str:
    """A few lines for people."""
    latency, frame = data["latency_ms"], data["frame_time_ms"]
    lines = [
        f"{data['rate_hz']:.1f} pictures a second; latency {_triple(latency)} ms; "
        f"frame time {_triple(frame)} ms (p50 / p95 / p99)",
        f"{data['bitrate_kbps']:.1f} kbit/s; packets: {data['sent']} sent, "
        f"{data['received']} received, {data['rejected']} rejected; "
        f"frames: {data['concealed']} concealed, "
        + ", ".join(f"{count} {name}" for name, count in data["drops"].items()),
    ]
    if "restart" in data:
        restart = data["restart"]
        lines.append(
            f"receiver restarted: nothing shown for {restart['outage_ms']} ms, "
            f"{restart['ready_to_picture_ms']} ms of it after it was ready"
        )
    return "\n".join(lines)


_COUNTS = (
    *("datagrams", "knocks", "media", "unreferenced", "undecodable"),
    *("kept", "late", "early", "twice", "stale", "discarded", "waiting"),
    *("played", "concealed", "trailing", "missed", "decoded", "shown"),
    *("displaced", "undrawn", "unsunk"),
)
_DROPS = ("late", "stale", "displaced", "missed", "unsunk")


def _ms(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else round((later - earlier) * 1e3, 1)


def _triple(values: dict[str, float | None]) -> str:
    return " / ".join("-" if value is None else f"{value:.1f}" for value in values.values())
