"""The Prefect layer: schedules, order and retries of the steps, around the packages that train and record."""
