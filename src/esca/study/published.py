"""The published sensitivity of FFAS to k (arXiv 2510.24787), 4 bit, FovVideoVDP in JOD."""

PUBLISHED_K = (30, 40, 50, 60, 70, 75, 80, 85, 90, 95)

PUBLISHED_JOD: dict[str, tuple[float, ...]] = {
    "front": (5.6446, 5.6559, 5.6575, 5.6681, 5.6925, 5.7184, 5.8541, 5.8274, 5.8230, 5.7862),
    "right": (4.9189, 4.9273, 4.9394, 4.9427, 4.9589, 4.9605, 4.9550, 4.9436, 4.8819, 4.8187),
    "left": (4.9074, 4.9145, 4.9167, 4.9337, 4.9683, 4.9795, 4.9660, 4.9659, 4.9146, 4.8495),
}
"""By view; other subjects and other pictures, so that only the shape can be compared."""
