"""Looking at what was recorded: downsampling and plots."""
