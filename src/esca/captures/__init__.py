"""What was recorded: MultiFace-format captures, read lazily and written exactly."""
