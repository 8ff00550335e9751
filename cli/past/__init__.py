"""A backtest: the real engine over memory, fed with past drops, under the loop's policy and under baselines.

Loads pandas; `cli/backtest.py` imports it late, when the command runs.
"""
