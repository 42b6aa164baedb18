"""A board around the machine: clock, SDRAM, a serial port and what a host says over it."""
