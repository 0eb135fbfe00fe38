"""What holds for all tests."""

import hypothesis

# A busy machine makes no example wrong: pytest's own time-out bounds a test.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
