"""FovVideoVDP as published for ESCA (arXiv 2510.24787), in JOD; other subjects, other pictures."""

PUBLISHED_VIEWS = ("front", "left", "right")

PUBLISHED: dict[str, dict[str, tuple[float, float, float]]] = {
    "FP32": {"": (6.5364, 5.9480, 5.8625)},
    "W8A8": {
        "AdaRound+LSQ": (6.2106, 5.5004, 5.4381),
        "POCA": (6.4827, 5.8511, 5.7565),
        "2DQuant": (6.4983, 5.8313, 5.7497),
        "GPTQ": (6.2359, 5.6188, 5.3613),
        "ICAS": (5.6007, 5.3913, 5.0762),
        "UV-W": (6.5271, 5.9101, 5.7610),
        "ICAS-UV": (6.3690, 5.6615, 5.5998),
        "FFAS-UV": (6.5241, 5.8589, 5.8071),
    },
    "W4A4": {
        "AdaRound+LSQ": (4.2531, 3.6143, 3.5606),
        "POCA": (5.2310, 4.3838, 4.3457),
        "2DQuant": (5.2987, 4.3948, 4.3712),
        "GPTQ": (5.4980, 4.5868, 4.5729),
        "ICAS": (5.5901, 4.7317, 4.7536),
        "UV-W": (5.7559, 4.8130, 4.8187),
        "ICAS-UV": (5.6438, 4.9145, 4.9057),
        "FFAS-UV": (5.8541, 4.9795, 4.9605),
    },
}
"""By bits and method: front, left, right."""
