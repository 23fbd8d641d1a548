"""All uses of private names of Keras and its backends; `manifest` lists them."""
