"""Synthetic subjects, procedural or from a glTF head, and the studio that records them."""
