"""Whether to retrain: reasons, policy, schedules, the start of a release, and whether it helped."""
