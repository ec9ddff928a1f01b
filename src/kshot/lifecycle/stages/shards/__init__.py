"""Ingest and embed shard by shard, here or on Ray; finished shards are stored and used again."""
