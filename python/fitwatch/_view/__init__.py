"""Views of recorded runs: downsampling and plots."""
