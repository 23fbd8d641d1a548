"""`fitwatch.enable()` and `disable()`: what they replace in Keras, and their settings."""
