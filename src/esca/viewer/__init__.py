"""A web page with the head in 3D: fp32 beside quantized, and where the eye sees a difference.

Needs the extra ``viewer`` (viser). :func:`esca.viewer.view.serving` serves it.
"""
