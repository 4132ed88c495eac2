"""Everything that knows Dagster: assets, partitions, sensors, schedules, jobs, checks."""
