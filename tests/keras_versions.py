"""Which Keras is installed: with older ones too, fitwatch does what the newest does."""

import keras
import pytest

VERSION = tuple(int(part) for part in keras.__version__.split(".")[:2])

# For tests that compare with what Keras itself does since that version.
since_3_15 = pytest.mark.skipif(VERSION < (3, 15), reason="Keras does that since 3.15")
