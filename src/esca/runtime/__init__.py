"""Integers only: lowering, bit-exact execution and the artifact file."""
