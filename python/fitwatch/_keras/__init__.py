"""What fitwatch takes from Keras and its backends by private names; `manifest` lists them all."""
