"""When, in what order and with which retries: Prefect's ring around the record and the science."""
