"""The REST interface of the gallery service: limits, keys, logs and metrics around its routers."""
