"""From a float graph to true integers: smoothing, ranges, rounding, recipes."""
