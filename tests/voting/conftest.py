"""Laws are checked on as many examples as it takes; a busy machine is no reason to fail."""

from hypothesis import settings

settings.register_profile("surefoot", deadline=None)
settings.load_profile("surefoot")
