"""Every private name of Keras that fitwatch uses: nothing else imports `keras.src`."""
