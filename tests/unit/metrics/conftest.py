"""Property tests here are small; a busy machine must not fail them for being slow."""

from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
