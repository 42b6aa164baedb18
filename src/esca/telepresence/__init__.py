"""A call: codes from one headset to the other, authenticated, on a network that loses packets."""
