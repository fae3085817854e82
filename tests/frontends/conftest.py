"""The backend that Keras runs on in these tests, unless the environment names another."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
