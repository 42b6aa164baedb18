"""A seeded parametric head."""

from esca.subjects.procedural.subject import ProceduralSubject, procedural_subject

__all__ = ["ProceduralSubject", "procedural_subject"]
