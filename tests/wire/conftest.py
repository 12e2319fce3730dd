"""Property tests here are bounded by count, not by the clock: a busy machine must not fail them."""

from hypothesis import HealthCheck, settings

settings.register_profile("wire", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.load_profile("wire")
