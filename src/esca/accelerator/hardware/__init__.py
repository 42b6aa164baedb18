"""A machine with banked buffers (``buffers.banked``) as it is built: its jobs and cycles.

The compiler's schedule says what is done; here are the transfers of whole words, the one store of
each chunk, the cycles and the latencies that :mod:`esca.accelerator.rtl` is built to, and held
against in every cycle. ``frame`` brings them together. Needs no hardware tools.
"""
