"""Latencies published for ESCA and for the chips it is compared with (arXiv 2510.24787)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one part of a MultiFace avatar on one device."""

    device: str
    part: str
    bits: str
    milliseconds: float


PUBLISHED = (
    Latency("Snapdragon XR2 Gen 2", "encoder", "fp", 13.80),
    Latency("Snapdragon XR2 Gen 2", "encoder", "8 bit", 4.00),
    Latency("Jetson Orin NX 16 GB", "encoder", "fp", 9.96),
    Latency("ESCA accelerator", "encoder", "8 bit", 3.05),
    Latency("Snapdragon XR2 Gen 2", "decoder", "fp", 25.80),
    Latency("Snapdragon XR2 Gen 2", "decoder", "8 bit", 14.50),
    Latency("Jetson Orin NX 16 GB", "decoder", "fp", 50.35),
    Latency("ESCA accelerator", "decoder", "8 bit", 12.51),
    Latency("ESCA accelerator", "decoder", "4 bit", 3.13),
)
