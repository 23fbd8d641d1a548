"""`fitwatch.enable()` and `disable()`: what they replace in Keras, and the settings they keep."""
