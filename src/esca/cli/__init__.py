"""The command line: capture -> train -> quantize -> evaluate -> report."""
