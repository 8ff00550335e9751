"""Judgement without side effects: numbers in, a verdict and its reasons out, the same for ever.

`gate` compares challenger and champion on holdout rows, `metric` holds the champion against a threshold,
`smoke` reads a deployment's first answers, `canary` compares both under live traffic at every tick.
Nothing here does I/O or reads a clock; random numbers come from a seed that is part of the policy.
"""
