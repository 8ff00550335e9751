"""A policy's past: the real engine over memory, fed with drops that have already happened, beside other policies."""
