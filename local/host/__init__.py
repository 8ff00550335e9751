"""Runs a function app as Azure's host does: queue, timer and HTTP triggers, no kinder than the real one."""
